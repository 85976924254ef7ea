public import Logging
public import ParallaxAPI
public import ParallaxMetrics
public import ParallaxState
public import ServiceLifecycle

/// A whole control-plane node as a service: executions, agents over WebSocket, the HTTP API, and its part in a cluster.
///
/// ```swift
/// var configuration = NodeConfiguration(nodeID: "node-1")
/// configuration.server.port = 8_080
/// let node = try ParallaxNode(configuration: configuration, backend: InMemoryBackend(), logger: logger)
/// try await ServiceGroup(services: [node], gracefulShutdownSignals: [.sigterm], logger: logger).run()
/// ```
///
/// With `highAvailability.enabled` it is one of several nodes on the same stores, of which one leads. Without, it is a cluster of one: it
/// leads at once, and does not start where another node is at work.
public struct ParallaxNode: Service {
  /// The product's version.
  public static let version = "0.1.0"

  /// What whoever runs a node hears of it; each does nothing by default.
  public struct Hooks: Sendable {
    /// The server listens at this base URL.
    public var onListening: @Sendable (_ url: String) -> Void = { _ in }
    /// The node takes work.
    public var onReady: @Sendable () -> Void = {}
    /// A leader's duty ignores that its term has ended, and `onStuckDuty` is `exit`: the process is to end.
    public var onStuckDuty: @Sendable () -> Void = {}

    /// Makes hooks that do nothing.
    public init() {}
  }

  private let services: [any Service]
  private let stopLimit: Duration
  private let logger: Logger

  /// Puts a node together; nothing runs yet.
  ///
  /// - Parameters:
  ///   - configuration: Everything that can be set.
  ///   - backend: The stores. All nodes of a cluster need the same ones; the node runs the backend's services.
  ///   - patterns: Patterns to store when the node starts.
  ///   - metrics: Where the node registers its metrics, and what `/metrics` shows; one for each node. What libraries emit through
  ///     swift-metrics shows there too if the program bootstraps swift-metrics with a `PrometheusMetricsFactory` of this registry.
  ///   - hooks: What the caller wants to hear of.
  ///   - logger: Where the node reports.
  /// - Throws: What is wrong with the values of the configuration, or with metrics that are registered already.
  public init(
    configuration: NodeConfiguration, backend: any Backend, patterns: [PatternDefinition] = [],
    metrics: MetricsRegistry = MetricsRegistry(),
    hooks: Hooks = Hooks(), logger: Logger
  ) throws {
    try ConfigurationRelation.check(configuration)
    let assembly = try NodeAssembly(
      configuration: configuration, backend: backend, registry: metrics, onStuckDuty: hooks.onStuckDuty, logger: logger)
    services = try assembly.services(shippedPatterns: patterns, hooks: hooks)
    let (delay, timeout) = (configuration.server.drainDelay, configuration.server.drainTimeout)
    stopLimit = ShutdownPlan(delay: delay, timeout: timeout, hasSuccessor: false).limit
    self.logger = logger
  }

  /// Runs the node until a graceful shutdown has been carried out or the task is cancelled; to be called once.
  ///
  /// A graceful shutdown releases leadership, keeps serving for `server.drainDelay`, and lets work that is under way go on for at most
  /// `server.drainTimeout`. A cancelled node ends at once, as after a crash.
  ///
  /// - Throws: What ended the node: a port that is in use, a store that is another's, another process under the node's id.
  public func run() async throws {
    var configuration = ServiceGroupConfiguration(
      services: services.map { service in
        // A node that must end, ends in order: agents are told, callers are answered.
        ServiceGroupConfiguration.ServiceConfiguration(service: service, failureTerminationBehavior: .gracefullyShutdownGroup)
      }, logger: logger)
    configuration.maximumGracefulShutdownDuration = stopLimit
    try await ServiceGroup(configuration: configuration).run()
  }
}
