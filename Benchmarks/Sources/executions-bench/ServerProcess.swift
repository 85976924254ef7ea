import Foundation

/// A failure that ends the benchmark with its message.
struct BenchmarkError: Error, CustomStringConvertible {
  let description: String

  init(_ description: String) {
    self.description = description
  }
}

/// A server that the benchmark starts and stops, in a folder of its own.
struct ServerProcess: Sendable {
  private let process: Process
  private let folder: URL

  init(_ executable: URL, _ arguments: [String], environment: [String: String] = [:], files: [String: String] = [:]) throws {
    folder = FileManager.default.temporaryDirectory.appending(path: "parallax-bench-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    for (name, text) in files { try Data(text.utf8).write(to: folder.appending(path: name)) }
    let log = folder.appending(path: "log")
    try Data().write(to: log)
    let output = try FileHandle(forWritingTo: log)
    process = Process()
    process.executableURL = executable
    process.arguments = arguments
    process.currentDirectoryURL = folder
    process.environment = ProcessInfo.processInfo.environment.filter { !$0.key.hasPrefix("PARALLAX_") }
      .merging(environment) { _, given in given }
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = output
    process.standardError = output
    try process.run()
  }

  var pid: Int32 { process.processIdentifier }

  var log: String { (try? String(contentsOf: folder.appending(path: "log"), encoding: .utf8)) ?? "" }

  /// Waits for something in the log or anywhere else.
  func wait<Value>(for what: String, _ found: () throws -> Value?) async throws -> Value {
    for _ in 0..<1_000 {
      if let value = try found() { return value }
      guard process.isRunning else { break }
      try await Task.sleep(for: .milliseconds(10))
    }
    throw BenchmarkError("no \(what) from \(process.executableURL?.lastPathComponent ?? "server"):\n\(log)")
  }

  func stop() {
    // By force: a child of a Dispatch thread inherits its signal mask, in which SIGTERM is blocked, and there is nothing to save.
    kill(pid, SIGKILL)
    while process.isRunning { usleep(1_000) }
    try? FileManager.default.removeItem(at: folder)
  }
}

/// A redis-server on a free port that appends to its file and syncs it every second.
struct RedisProcess: Sendable {
  let server: ServerProcess
  let port: Int

  static func start() async throws -> RedisProcess {
    let port = try freePort()
    let server = try ServerProcess(
      try program("redis-server"),
      ["--port", "\(port)", "--bind", "127.0.0.1", "--appendonly", "yes", "--appendfsync", "everysec", "--save", "", "--dir", "."])
    do {
      try await server.wait(for: "readiness") { server.log.contains("Ready to accept connections") ? () : nil }
    } catch {
      server.stop()
      throw error
    }
    return RedisProcess(server: server, port: port)
  }

  /// How many commands the server has executed, those that scripts call included.
  func commands() throws -> RedisCommands {
    let text = try output(of: try Self.program("redis-cli"), ["-p", "\(port)", "info", "commandstats"])
    var commands = RedisCommands()
    for line in text.split(whereSeparator: \.isNewline) {
      guard let match = line.firstMatch(of: /^cmdstat_([^:]+):calls=([0-9]+)/), let calls = Int(match.2) else { continue }
      commands.calls[String(match.1), default: 0] += calls
    }
    return commands
  }

  private static func program(_ name: String) throws -> URL {
    for folder in (ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin").split(separator: ":") {
      let candidate = URL(filePath: String(folder)).appending(path: name)
      if FileManager.default.isExecutableFile(atPath: candidate.path) { return candidate }
    }
    throw BenchmarkError("\(name) is not on the PATH: run Scripts/install-test-tools.sh, or measure with --embedded")
  }

  private func output(of executable: URL, _ arguments: [String]) throws -> String {
    let process = Process()
    let pipe = Pipe()
    process.executableURL = executable
    process.arguments = arguments
    process.standardOutput = pipe
    try process.run()
    let data = pipe.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    return String(decoding: data, as: UTF8.self)
  }
}

/// Calls by command name.
struct RedisCommands: Sendable {
  var calls: [String: Int] = [:]

  static func - (later: RedisCommands, earlier: RedisCommands) -> RedisCommands {
    RedisCommands(calls: later.calls.merging(earlier.calls) { $0 - $1 }.filter { $0.value > 0 })
  }
}

/// A release node on a free port.
struct NodeProcess: Sendable {
  let server: ServerProcess
  let port: Int

  static func start(daemon: String, redisPort: Int?) async throws -> NodeProcess {
    var environment = ["PARALLAX_PORT": "0", "PARALLAX_NODE_ID": "bench"]
    if let redisPort { environment["PARALLAX_REDIS_URL"] = "redis://127.0.0.1:\(redisPort)" }
    // One agent here stands for many: what an ordinary agent may send in a second is not the limit to measure.
    let configuration = "agents:\n  maxMessagesPerSecond: 1000000\n"
    let server = try ServerProcess(
      URL(filePath: daemon), [], environment: environment, files: ["parallax.config.yaml": configuration])
    do {
      let port = try await server.wait(for: "address that it listens on") {
        server.log.firstMatch(of: /http:\/\/127\.0\.0\.1:([0-9]+)/).flatMap { Int($0.1) }
      }
      try await server.wait(for: "readiness") { server.log.contains(#""message":"ready""#) ? () : nil }
      return NodeProcess(server: server, port: port)
    } catch {
      server.stop()
      throw error
    }
  }
}
