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
/// Services stop from the last to the first: listed first, the probes go on answering while the others stop. Everything else is 404.
/// There is no TLS and no access control: what listens beyond loopback is for the network of the load balancer and of the scraper.
public struct ProbeServer: Service {
  private let health: HealthProbes
  private let metrics: MetricsRegistry?
  private let host: String
  private let port: Int
  private let onListening: @Sendable (_ port: Int) async -> Void
  private let logger: Logger

  /// Makes a server; nothing listens before ``run()``.
  ///
  /// - Parameters:
  ///   - health: What the probes tell.
  ///   - metrics: What `/metrics` renders; nil, the default, leaves the path out.
  ///   - host: The address or name to listen on; loopback by default.
  ///   - port: The port to listen on; 0 lets the system choose.
  ///   - logger: Where the start of the server is told.
  ///   - onListening: Called once with the port, when it is listened on.
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

  /// Serves until a graceful shutdown or the cancellation of the task; requests that are being answered are answered.
  ///
  /// - Throws: The error of the system if the address cannot be listened on.
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
