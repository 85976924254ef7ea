public import Logging
public import ParallaxAPI
public import ParallaxMetrics
public import ParallaxState
public import ServiceLifecycle

/// A control-plane node as a service: executions, agents over WebSocket, the HTTP API, probes and metrics, and the node's part in a
/// cluster.
///
/// ```swift
/// var configuration = NodeConfiguration(nodeID: "node-1")
/// configuration.server.port = 8_080
/// let node = try ParallaxNode(configuration: configuration, logger: logger)
/// try await ServiceGroup(services: [node], gracefulShutdownSignals: [.sigterm], logger: logger).run()
/// ```
///
/// With `highAvailability.enabled` the node shares its stores with other nodes, of which one leads. Without, the node is a cluster of one:
/// it leads at once, and refuses to start if another node uses the same stores.
public struct ParallaxNode: Service, CustomStringConvertible {
  /// The version of Parallax.
  public static let version = ParallaxVersion.current

  /// Callbacks for the program that runs the node; by default they do nothing.
  ///
  /// The node calls them synchronously, so they must return promptly.
  public struct Hooks: Sendable {
    /// Called when the server listens, with its base URL.
    public var onListening: @Sendable (_ url: String) -> Void = { _ in }
    /// Called when the node accepts work.
    public var onReady: @Sendable () -> Void = {}
    /// Called when a leader's duty ignores the end of its term, if the configuration's `onStuckDuty` is `exit`; the program should exit the
    /// process.
    public var onStuckDuty: @Sendable () -> Void = {}
    /// The commit from which the program was built, for the metric `parallax_build_info`; nil, the default, if it is not known.
    package var commit: String?
    /// The pipe to the witness around this process, as of `WitnessDescriptor.take()`; nil, the default, if there is none.
    package var witnessDescriptor: Int32?
    /// The log of the process, of which a caller can collect a part; nil, the default, if it is another program's.
    package var log: NodeLogLevel?
    /// The executable of the node's witness, which is started unless this process has one around it; nil, the default, if there is none.
    package var witnessExecutable: String?
    /// Whether the program may have a witness; the end of a node is then the end of its process.
    package var hasWitness = false

    /// Makes callbacks that do nothing.
    public init() {}
  }

  /// `ParallaxNode` and the node's id, by which a service group names the node in its log.
  public var description: String { "ParallaxNode(\(nodeID))" }

  private let nodeID: String
  private let services: [any Service]
  private let settings: ReloadableSettings
  private let stopLimit: Duration
  private let logger: Logger

  /// Makes a node, which does nothing before ``run()``.
  ///
  /// - Parameters:
  ///   - configuration: The settings of the node.
  ///   - backend: The stores, shared by all nodes of a cluster; by default those that the configuration selects: on Redis, or in memory.
  ///     The node runs the backend's services.
  ///   - patterns: The patterns to store when the node starts; none by default.
  ///   - metrics: The registry of the node's metrics, rendered by `/metrics`; a new one by default. Two nodes cannot share a registry. The
  ///     metrics that libraries emit through swift-metrics appear as well if the program bootstraps swift-metrics with a
  ///     `PrometheusMetricsFactory` of this registry.
  ///   - hooks: Callbacks for the program.
  ///   - logger: The node's logger; by default one with the label `parallax`.
  /// - Throws: An error that names every violated relation of the configuration, an invalid value, an unusable file, or a metric that the
  ///   registry already has.
  public init(
    configuration: NodeConfiguration, backend: (any Backend)? = nil, patterns: [PatternDefinition] = [],
    metrics: MetricsRegistry = MetricsRegistry(),
    hooks: Hooks = Hooks(), logger: Logger = Logger(label: "parallax")
  ) throws {
    try ConfigurationRelation.check(configuration)
    let assembly = try NodeAssembly(
      configuration: configuration, backend: try backend ?? configuration.makeBackend(logger: logger), registry: metrics,
      commit: hooks.commit, onStuckDuty: hooks.onStuckDuty, logger: logger)
    (services, settings) = try assembly.services(shippedPatterns: patterns, hooks: hooks)
    nodeID = configuration.node.id
    let (delay, timeout) = (configuration.server.drainDelay, configuration.server.drainTimeout)
    stopLimit = ShutdownPlan(delay: delay, timeout: timeout, hasSuccessor: false).limit
    self.logger = logger
  }

  /// Applies those settings of a configuration that can change while the node runs, and reads the files of keys and certificates again.
  ///
  /// Agents whose keys are gone are disconnected. Patterns are stored as soon as the store takes them; none is removed. The log level is
  /// the program's to change.
  ///
  /// - Parameters:
  ///   - configuration: The settings.
  ///   - patterns: The patterns to store.
  /// - Returns: What has changed, and what needs a restart.
  /// - Throws: An error that names all faults; it changes nothing.
  package func reload(_ configuration: NodeConfiguration, patterns: [PatternDefinition]) throws -> NodeReload {
    try settings.reload(configuration, patterns: patterns)
  }

  /// Runs the node until a graceful shutdown is complete or the task is cancelled; to be called once.
  ///
  /// A graceful shutdown releases leadership, accepts HTTP for `server.drainDelay`, and gives work in progress at most
  /// `server.drainTimeout`. Cancellation ends the node at once, as a crash would.
  ///
  /// - Throws: The error that ended the node: the port is in use, the stores belong to another cluster, or another process runs under the
  ///   node's id.
  public func run() async throws {
    var configuration = ServiceGroupConfiguration(
      services: services.map { service in
        // A failed part shuts the node down gracefully, so that agents and callers get their answers.
        // Without a name, the group logs each service with all that it has.
        ServiceGroupConfiguration.ServiceConfiguration(
          service: service, failureTerminationBehavior: .gracefullyShutdownGroup, serviceName: "\(type(of: service))")
      }, logger: logger)
    configuration.maximumGracefulShutdownDuration = stopLimit
    try await ServiceGroup(configuration: configuration).run()
  }
}
