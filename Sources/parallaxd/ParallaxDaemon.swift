import ArgumentParser
import CoreMetrics
import Logging
import ParallaxAPI
import ParallaxControlPlane
import ParallaxMetrics
import ParallaxWitness
import ServiceLifecycle
import UnixSignals

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// The daemon's command line: reads the configuration, runs the node.
@main
struct ParallaxDaemon: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "parallaxd",
    abstract: "A Parallax control-plane node.",
    discussion: """
      Without a configuration the node runs alone on 127.0.0.1:8080 and keeps its state in memory. Flags override environment \
      variables, which override the configuration file, which overrides the defaults.

      Exit codes: 0 stopped in order; 1 the node has failed, or a second signal ended it; 64 wrong usage; 78 a faulty configuration.
      """,
    version: ParallaxVersion.text(commit: BuildCommit.current))

  @Option(help: "The configuration file; else PARALLAX_CONFIG, ./parallax.config.yaml, /etc/parallax/parallax.config.yaml.")
  var config: String?
  @Option(name: .customLong("node-id"), help: "The node's id (node.id).")
  var nodeID: String?
  @Option(help: "The address to listen on (server.host).")
  var host: String?
  @Option(help: "The port to listen on; 0 takes any free port (server.port).")
  var port: String?
  @Option(name: .customLong("redis-url"), help: "The address of Redis, redis://[user:password@]host:port/database (redis.url).")
  var redisURL: String?
  @Option(help: "The directory of pattern files (patterns.directory).")
  var patterns: String?
  @Option(help: "trace, debug, info, notice, warning, error or critical (logging.level).")
  var logLevel: String?
  @Flag(help: "Check the configuration and exit.")
  var checkConfig = false
  @Flag(help: "Print the effective configuration, without secrets, and exit.")
  var printConfig = false
  @Flag(help: ArgumentHelp("Print a table of all keys as Markdown and exit.", visibility: .hidden))
  var printConfigReference = false
  @Flag(help: ArgumentHelp("Print the JSON Schema of the configuration and exit.", visibility: .hidden))
  var printConfigSchema = false
  @Flag(help: ArgumentHelp("Print a table of all metrics as Markdown and exit.", visibility: .hidden))
  var printMetricsReference = false

  /// The exit code of a configuration error in sysexits.h.
  private static let configurationFault = ExitCode(78)

  func run() async throws {
    if printConfigReference || printConfigSchema {
      return print(printConfigSchema ? ConfigurationReference.schema : ConfigurationReference.markdown, terminator: "")
    }
    if printMetricsReference { return print(try MetricsReference.markdown(), terminator: "") }
    // Before anything else runs that might read the environment.
    let witnessDescriptor = WitnessDescriptor.take()
    // From the first moment on: a hang-up would end the process, and one during the start must not be lost.
    let hangUps = await UnixSignalsSequence(trapping: .sighup)
    // A reload reads the file of the start: another one of the search path, or none, would be another node's configuration.
    let file = config ?? ConfigurationFiles.located
    let (configuration, shippedPatterns) = try start(from: file)
    if printConfig { print(configuration.render()) }
    if checkConfig, !printConfig { print("the configuration is sound") }
    if printConfig || checkConfig { return }

    let level = NodeLogLevel(configuration.logging.level.level)
    let format = NodeLogHandler.format(configuration.logging.format)
    LoggingSystem.bootstrap { _ in NodeLogHandler(level: level, format: format) }
    var logger = Logger(label: "parallaxd")
    logger[metadataKey: "node"] = "\(configuration.node.id)"
    let node = try makeNode(configuration, shippedPatterns, level, witnessDescriptor, logger)
    let reloader = ConfigurationReloader(node: node, logLevel: level, load: { try load(from: file) }, logger: logger)
    try await run(node, reloader, hangUps, logger)
  }

  private func makeNode(
    _ configuration: NodeConfiguration, _ shippedPatterns: [PatternDefinition], _ level: NodeLogLevel, _ witnessDescriptor: Int32?,
    _ logger: Logger
  ) throws -> ParallaxNode {
    let names = shippedPatterns.map(\.name)
    var hooks = ParallaxNode.Hooks()
    hooks.onListening = { url in Self.announce(url, configuration, patterns: names) }
    hooks.onReady = { logger.notice("ready") }
    hooks.onStuckDuty = {
      logger.critical("a duty has not ended with its term; ending the process, as leaderElection.onStuckDuty requires")
      _exit(EXIT_FAILURE)
    }
    hooks.commit = BuildCommit.current
    hooks.log = level
    hooks.hasWitness = true
    hooks.witnessDescriptor = witnessDescriptor
    hooks.witnessExecutable = Self.witnessExecutable
    let metrics = MetricsRegistry()
    var conversion = PrometheusMetricsFactory.Configuration()
    conversion.help = MetricsReference.help
    MetricsSystem.bootstrap(
      PrometheusMetricsFactory(metrics, configuration: conversion) {
        logger.warning("a metric was refused", metadata: ["error": "\($0)"])
      })
    try metrics.registerProcessMetrics()
    return try ParallaxNode(
      configuration: configuration, patterns: shippedPatterns, metrics: metrics, hooks: hooks, logger: logger)
  }

  private func run(
    _ node: ParallaxNode, _ reloader: ConfigurationReloader, _ hangUps: UnixSignalsSequence, _ logger: Logger
  ) async throws {
    let group = ServiceGroup(services: [node], logger: logger)
    do {
      try await withThrowingTaskGroup(of: Void.self) { tasks in
        tasks.addTask { try await group.run() }
        tasks.addTask { await Self.stopOnSignals(group) }
        tasks.addTask { for await _ in hangUps { reloader.reload() } }
        try await tasks.next()
        tasks.cancelAll()
      }
    } catch {
      logger.critical("the node has failed", metadata: ["error": "\(error)"])
      throw ExitCode.failure
    }
    logger.notice("stopped")
  }

  /// The first signal stops the node in order, a second one at once.
  private static func stopOnSignals(_ group: ServiceGroup) async {
    var isStopping = false
    for await _ in await UnixSignalsSequence(trapping: .sigterm, .sigint) {
      if isStopping { _exit(EXIT_FAILURE) }
      isStopping = true
      await group.triggerGracefulShutdown()
    }
  }

  /// The witness beside this executable; nil if it is not there.
  private static var witnessExecutable: String? {
    var buffer = [UInt8](repeating: 0, count: 4_096)
    let count = readlink("/proc/self/exe", &buffer, buffer.count)
    let own = count > 0 ? String(decoding: buffer.prefix(count), as: UTF8.self) : CommandLine.arguments[0]
    guard let slash = own.lastIndex(of: "/") else { return nil }
    let path = own[...slash] + WitnessChannel.executable
    return access(String(path), X_OK) == 0 ? String(path) : nil
  }

  /// Prints the node's address on standard output, with the next steps.
  private static func announce(_ url: String, _ configuration: NodeConfiguration, patterns: [String]) {
    var lines = ["parallaxd \(ParallaxNode.version) listens on \(url) as \(configuration.node.id)"]
    let agents = url.replacing("http", with: "ws", maxReplacements: 1) + "/ws/agent"
    lines.append("  dashboard          \(url)/ui/")
    lines.append("  agents connect to  \(agents)")
    let key = configuration.security.authentication.apiKeys.isEmpty ? "" : #"-H "Authorization: Bearer $PARALLAX_API_KEY" "#
    if let pattern = patterns.first {
      lines.append("  patterns           \(patterns.joined(separator: ", "))")
      lines.append(
        """
          submit             curl -s \(key)-H 'Content-Type: application/json' -d '{"input":{"text":"Hello"}}' \
        \(url)/api/patterns/\(pattern)/execute
        """)
    } else {
      lines.append("  patterns           none: POST one to \(url)/api/patterns, or set patterns.directory")
    }
    lines.append("  state              \(configuration.redis.summary ?? "in memory; it ends with the process")")
    if let access = configuration.accessSummary { lines.append("  access             \(access)") }
    print(lines.joined(separator: "\n"))
    fflush(nil)
  }

  /// Reads the configuration and the patterns.
  private func load(from file: String?) throws -> (NodeConfiguration, [PatternDefinition]) {
    let configuration = try ConfigurationFiles.load(config: file, flags: flags)
    let directory = configuration.patterns.directory ?? (access("patterns", R_OK) == 0 ? "patterns" : nil)
    return (configuration, try directory.map { try PatternFile.load(directory: $0) } ?? [])
  }

  private func start(from file: String?) throws -> (NodeConfiguration, [PatternDefinition]) {
    do {
      return try load(from: file)
    } catch {
      let text = "parallaxd: \(error)\n"
      _ = text.utf8CString.withUnsafeBytes { write(STDERR_FILENO, $0.baseAddress, $0.count - 1) }
      throw Self.configurationFault
    }
  }

  private var flags: [ConfigurationFlag] {
    let values: [(flag: String, key: String, value: String?)] = [
      ("--node-id", "node.id", nodeID), ("--host", "server.host", host), ("--port", "server.port", port),
      ("--redis-url", "redis.url", redisURL), ("--patterns", "patterns.directory", patterns),
      ("--log-level", "logging.level", logLevel),
    ]
    return values.compactMap { entry in entry.value.map { ConfigurationFlag(entry.flag, key: entry.key, value: $0) } }
  }
}
