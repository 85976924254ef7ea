import Hummingbird
public import Logging
import NIOCore
public import ParallaxMetrics
public import ServiceLifecycle

/// Serves the health probes and the metrics of a service that has no HTTP server of its own.
///
/// ```swift
/// let probes = ProbeServer(health: health, metrics: registry, host: "0.0.0.0", port: 9000, logger: logger)
/// try await ServiceGroup(services: [probes, worker], gracefulShutdownSignals: [.sigterm], logger: logger).run()
/// ```
///
/// A service group stops its services from the last to the first: a probe server that is listed first answers while the others stop. Every
/// other path is 404. There is neither TLS nor access control: an address beyond loopback must be reachable only by the load balancer and
/// the scraper.
public struct ProbeServer: Service {
  private let health: HealthProbes
  private let metrics: MetricsRegistry?
  private let host: String
  private let port: Int
  private let onListening: @Sendable (_ port: Int) async -> Void
  private let logger: Logger

  /// Creates a server, which listens from ``run()`` on.
  ///
  /// - Parameters:
  ///   - health: The health of the service.
  ///   - metrics: The metrics of `/metrics`; nil, the default, omits that path.
  ///   - host: The address or name to listen on; loopback by default.
  ///   - port: The port to listen on; 0 lets the system choose.
  ///   - logger: The logger of the server's start.
  ///   - onListening: Called once with the port when the server listens.
  public init(
    health: HealthProbes, metrics: MetricsRegistry? = nil, host: String = "127.0.0.1", port: Int, logger: Logger,
    onListening: @escaping @Sendable (_ port: Int) async -> Void = { _ in }
  ) {
    self.health = health
    self.metrics = metrics
    self.host = host
    self.port = port
    self.logger = logger
    self.onListening = onListening
  }

  /// Serves until a graceful shutdown or the cancellation of the task; requests in progress are answered.
  ///
  /// - Throws: The error of the system if the server cannot listen on the address.
  public func run() async throws {
    let router = Router()
    router.addHealthProbes(health)
    if let metrics { router.addMetrics(metrics) }
    let application = Application(
      router: router, configuration: ApplicationConfiguration(address: .hostname(host, port: port)),
      onServerRunning: { [onListening] channel in await onListening(channel.localAddress?.port ?? 0) }, logger: logger)
    try await application.run()
  }
}
