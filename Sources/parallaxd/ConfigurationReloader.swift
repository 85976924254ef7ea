import Logging
import ParallaxAPI
import ParallaxControlPlane

/// Reads the configuration again and applies what can change while the node runs.
struct ConfigurationReloader: Sendable {
  let node: ParallaxNode
  let logLevel: NodeLogLevel
  /// Reads the configuration and the patterns from the sources of the start.
  let load: @Sendable () throws -> (NodeConfiguration, [PatternDefinition])
  let logger: Logger

  /// Reads, applies and logs; a faulty configuration changes nothing.
  func reload() {
    do {
      let (configuration, patterns) = try load()
      let reload = try node.reload(configuration, patterns: patterns)
      logLevel.value = reload.configuration.logging.level.level
      report(reload)
    } catch let error as ConfigurationError {
      logger.error("the changed configuration is refused, and nothing of it applies", metadata: ["faults": "\(error.faults.count)"])
      for fault in error.faults.prefix(100) { logger.error("fault in the changed configuration", metadata: ["fault": "\(fault)"]) }
    } catch {
      logger.error("the configuration cannot be reloaded, and nothing has changed", metadata: ["error": "\(error)"])
    }
  }

  private func report(_ reload: NodeReload) {
    var metadata: Logger.Metadata = ["changed": "\(reload.changed.isEmpty ? "nothing" : reload.changed.joined(separator: ", "))"]
    if let file = reload.keyFile { metadata["keys"] = "\(file)" }
    if !reload.patterns.isEmpty { metadata["patterns"] = "\(reload.patterns.joined(separator: ", "))" }
    logger.notice("configuration reloaded", metadata: metadata)
    guard !reload.needsRestart.isEmpty else { return }
    logger.warning("changed settings wait for a restart", metadata: ["keys": "\(reload.needsRestart.joined(separator: ", "))"])
  }
}

extension NodeConfiguration.Logging.Level {
  /// The level of the logging library.
  var level: Logger.Level { Logger.Level(rawValue: rawValue) ?? .info }
}
