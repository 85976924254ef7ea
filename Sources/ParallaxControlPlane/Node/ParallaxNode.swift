import CoreMetrics
package import Logging
import NIOCore
import NIOPosix
package import ParallaxAPI
import ParallaxHA
import ParallaxHTTP
import ParallaxMetrics
import ParallaxState
package import ServiceLifecycle

/// A control-plane node, put together from its configuration.
package struct ParallaxNode: Sendable {
  /// The product's version.
  package static let version = "0.1.0"

  /// What whoever runs the node hears of it.
  package struct Hooks: Sendable {
    /// The server listens at this base URL.
    package var onListening: @Sendable (_ url: String) -> Void
    /// The node takes work.
    package var onReady: @Sendable () -> Void

    package init(onListening: @escaping @Sendable (_ url: String) -> Void, onReady: @escaping @Sendable () -> Void) {
      self.onListening = onListening
      self.onReady = onReady
    }
  }

  private let services: [any Service]
  private let drainLimit: Duration
  private let logger: Logger

  /// Puts the node together; nothing runs yet.
  ///
  /// Throws what is wrong with the configuration's values.
  package init(
    configuration: NodeConfiguration, patterns shippedPatterns: [PatternDefinition], hooks: Hooks, logger: Logger
  ) throws {
    let group = MultiThreadedEventLoopGroup.singleton
    let mainLoop = group.next()
    let clock = NodeClock()
    let session = NodeSession.starting(nodeID: configuration.node.id)
    let registry = MetricsRegistry()
    MetricsSystem.bootstrap(PrometheusMetricsFactory(registry) { logger.warning("a metric was refused", metadata: ["error": "\($0)"]) })
    try registry.registerProcessMetrics()

    let nodeStore = try NodeStore(configuration: configuration.redis, nodeID: session.nodeID, eventLoop: mainLoop, logger: logger)
    let detection = configuration.highAvailability.memberHealth
    let health = NodeHealth(
      nodeID: session.nodeID, version: Self.version, clock: clock, cutOffAfter: detection.checkInterval * detection.unhealthyThreshold,
      storeStatus: nodeStore.status)
    let dispatcher = Dispatcher(
      settings: DispatchMachine.Settings(
        session: session, agentWait: configuration.executions.agentWait, resumeGrace: configuration.agents.resumeGrace),
      store: nodeStore.store, timerLoop: mainLoop, clock: clock, metrics: try DispatchMetrics(registry: registry), logger: logger)
    try Self.registerGauges(registry, dispatcher: dispatcher)
    let catalog = PatternCatalog(store: nodeStore.store)
    let gateway = SessionGateway(
      settings: AgentSessionMachine.Settings(configuration), dispatcher: dispatcher, health: health, clock: clock,
      metrics: try SessionMetrics(registry: registry), logger: logger)
    let boundAddress = Eventual<String>()
    let drain = Drain(
      dispatcher: dispatcher, timeout: configuration.server.drainTimeout, finishesExecutions: !nodeStore.isDurable)
    let soleNode = try nodeStore.members.map { members in
      SoleNode(
        store: members, session: session, keyPrefix: configuration.redis.keyPrefix, settings: try MembershipSettings(detection),
        configuredAddress: configuration.node.address, boundAddress: boundAddress,
        report: {
          let counts = dispatcher.counts
          return MemberReport(executions: counts.executions, agents: counts.agents)
        }, logger: logger)
    }
    let status = NodeStatus(
      session: session, clusterID: configuration.highAvailability.clusterID, configuredAddress: configuration.node.address,
      boundAddress: boundAddress, soleNode: soleNode, clock: clock)
    let controlPlane = ControlPlane(
      session: session, dispatcher: dispatcher, store: nodeStore.store, patterns: catalog, health: health, status: status,
      defaultTimeout: configuration.executions.defaultTimeout, clock: clock)
    let server = HTTPServer(
      configuration: HTTPServer.Configuration(configuration), controlPlane: controlPlane, gateway: gateway,
      probes: Probes(health: health, registry: registry).answer, group: group,
      hooks: HTTPServer.Hooks(
        onBound: { address in
          let url = Self.url(of: address, host: configuration.server.host)
          boundAddress.set(String(url.dropFirst("http://".count)))
          hooks.onListening(url)
        },
        onStopAccepting: { await drain() }),
      logger: logger)
    let lifecycle = NodeLifecycle(
      session: session, store: nodeStore.store, soleNode: soleNode,
      recovery: try SessionRecovery(
        store: nodeStore.store, dispatcher: dispatcher, session: session, registry: registry, clock: clock, logger: logger),
      patterns: catalog, shippedPatterns: shippedPatterns, executions: configuration.executions, health: health, clock: clock,
      onReady: hooks.onReady, logger: logger)
    let delay = DrainDelay(health: health, delay: configuration.server.drainDelay, logger: logger)

    // Stopped from the last to the first.
    services = nodeStore.services + (soleNode.map { [$0] } ?? []) + [dispatcher, lifecycle, server, delay]
    drainLimit = configuration.server.drainDelay + configuration.server.drainTimeout + .seconds(10)
    self.logger = logger
  }

  /// The group that runs the node; its graceful shutdown stops the node in order.
  package func makeServiceGroup() -> ServiceGroup {
    var configuration = ServiceGroupConfiguration(
      services: services.map { service in
        // A node that must end, ends in order: agents are told, callers are answered.
        ServiceGroupConfiguration.ServiceConfiguration(service: service, failureTerminationBehavior: .gracefullyShutdownGroup)
      }, logger: logger)
    configuration.maximumGracefulShutdownDuration = drainLimit
    return ServiceGroup(configuration: configuration)
  }

  private static func registerGauges(_ registry: MetricsRegistry, dispatcher: Dispatcher) throws {
    _ = try registry.gauge("parallax_executions_active", help: "Executions that this node drives.") {
      [MetricSample(Double(dispatcher.counts.executions))]
    }
    _ = try registry.gauge("parallax_agents_connected", help: "Registered agents that are connected to this node.") {
      [MetricSample(Double(dispatcher.counts.agents))]
    }
  }

  private static func url(of address: SocketAddress, host: String) -> String {
    let name = host == "0.0.0.0" || host == "::" ? "127.0.0.1" : host
    let port = address.port ?? 0
    return name.contains(":") ? "http://[\(name)]:\(port)" : "http://\(name):\(port)"
  }
}

extension MembershipSettings {
  fileprivate init(_ configuration: NodeConfiguration.MemberHealth) throws {
    try self.init(
      checkInterval: configuration.checkInterval, timeout: configuration.timeout,
      unhealthyThreshold: configuration.unhealthyThreshold)
  }
}

extension AgentSessionMachine.Settings {
  fileprivate init(_ configuration: NodeConfiguration) {
    self.init(
      heartbeatInterval: configuration.agents.heartbeatInterval, heartbeatTimeout: configuration.agents.heartbeatTimeout,
      taskTimeout: configuration.executions.defaultTimeout, maxMessagesPerSecond: configuration.agents.maxMessagesPerSecond)
  }
}

extension HTTPServer.Configuration {
  fileprivate init(_ configuration: NodeConfiguration) {
    var limits = ConnectionLimits()
    limits.requestBody = configuration.limits.requestBody
    limits.agentMessageSize = configuration.agents.maxMessageSize
    self.init(
      host: configuration.server.host, port: configuration.server.port, limits: limits,
      allowUnauthenticated: configuration.security.allowUnauthenticated, allowedOrigins: Set(configuration.server.allowedOrigins),
      // Draining is ours; what is left for the server is to write the last answers.
      drainTimeout: .seconds(2))
  }
}
