import Logging
import ParallaxAPI
import ParallaxConcurrency
import ParallaxServer
import ServiceLifecycle
import Synchronization

/// The settings of a running node that change without a restart: access, limits, certificates and patterns.
///
/// As a service it looks at the file of the keys for tokens, and uses other keys without a reload.
final class ReloadableSettings: Service {
  private struct State {
    var configuration: NodeConfiguration
    /// The contents of the file of the keys for tokens that are in force, or were refused.
    var keyFile: String?
  }

  private let state: Mutex<State>
  /// Shows the configuration to others.
  private let inForce: NodeDebug.ConfigurationInForce
  private let server: HTTPServer
  /// Nil without TLS.
  private let certificates: CertificateReloader?
  private let patterns: ShippedPatterns
  private let clock: MonotonicClock
  private let logger: Logger

  /// Makes the settings in force.
  ///
  /// `keyFile` is the contents of the file of the keys for tokens, read before the server's were: a file that is replaced during the start
  /// counts as changed.
  init(
    _ configuration: NodeConfiguration, inForce: NodeDebug.ConfigurationInForce, keyFile: String?, server: HTTPServer,
    certificates: CertificateReloader?,
    patterns: ShippedPatterns, clock: MonotonicClock, logger: Logger
  ) {
    state = Mutex(State(configuration: configuration, keyFile: keyFile))
    self.inForce = inForce
    self.server = server
    self.certificates = certificates
    self.patterns = patterns
    self.clock = clock
    self.logger = logger
  }

  func run() async throws {
    await cancelWhenGracefulShutdown { [self] in
      await every(CertificateReloader.interval, clock: clock, startsAtOnce: false) { look() }
    }
  }

  /// Applies what can change of a configuration, and reads all files again.
  ///
  /// - Returns: What has changed.
  /// - Throws: All faults, which change nothing.
  func reload(_ next: NodeConfiguration, patterns nextPatterns: [PatternDefinition]) throws(ConfigurationError) -> NodeReload {
    let outcome = state.withLock { state in
      Result { () throws(ConfigurationError) in
        let change = try ConfigurationChange(from: state.configuration, to: next)
        let file = TokenKeyFile(change.result)
        let contents = file?.contents
        try apply(change.result)
        let areKeysChanged = file != nil && file == TokenKeyFile(state.configuration) && contents != state.keyFile
        state = State(configuration: change.result, keyFile: contents)
        inForce.value = change.result
        return (change, areKeysChanged ? file?.path : nil)
      }
    }
    let (change, keyFile) = try outcome.get()
    certificates?.look()
    return NodeReload(
      configuration: change.result, changed: change.applied, needsRestart: change.postponed, keyFile: keyFile,
      patterns: patterns.replace(with: nextPatterns))
  }

  /// Uses the file of the keys for tokens if it has changed.
  func look() {
    state.withLock { state in
      guard let file = TokenKeyFile(state.configuration) else { return }
      let contents = file.contents
      guard contents != state.keyFile else { return }
      state.keyFile = contents
      do throws(ConfigurationError) {
        try apply(state.configuration)
        logger.notice("keys for tokens reloaded", metadata: ["file": "\(file.path)"])
      } catch {
        logger.error("the changed keys for tokens cannot be used; those in force stay", metadata: ["error": "\(error)"])
      }
    }
  }

  private func apply(_ configuration: NodeConfiguration) throws(ConfigurationError) {
    var settings = HTTPServer.Configuration(configuration)
    settings.tokens = try configuration.makeTokenVerifier(logger: logger)
    server.update(settings)
  }
}

/// What a reload has changed, without values, which may be secrets.
package struct NodeReload: Sendable {
  /// The settings in force.
  package let configuration: NodeConfiguration
  /// The paths of the changed keys that are in force.
  package let changed: [String]
  /// The paths of the changed keys that need a restart.
  package let needsRestart: [String]
  /// The file of the keys for tokens, if its contents alone have changed.
  package let keyFile: String?
  /// The new and changed patterns of the files, each as its name and version.
  package let patterns: [String]
}
