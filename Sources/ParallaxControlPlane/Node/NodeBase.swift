import CoreMetrics
import Logging
import NIOCore
import NIOPosix
import ParallaxAPI
import ParallaxHA
import ParallaxHTTP
import ParallaxMetrics
import ParallaxState

/// What every node is made of, whether it runs alone or in a cluster, plugged together.
struct NodeBase {
  let configuration: NodeConfiguration
  let clock = NodeClock()
  let session: NodeSession
  let registry: MetricsRegistry
  let store: NodeStore
  let health: NodeHealth
  let dispatcher: Dispatcher
  let patterns: PatternCatalog
  let boundAddress = Eventual<String>()
  /// Nil if the state ends with the process.
  let membership: NodeMembership?
  /// Nil if the node runs alone: then nobody but the node itself would hear of it.
  let publisher: EventPublisher?
  /// Nil if the node runs alone.
  let messenger: NodeMessenger?
  /// Nil if the node runs alone.
  let election: NodeElection?
  let logger: Logger

  private static let group = MultiThreadedEventLoopGroup.singleton

  init(configuration: NodeConfiguration, onStuckDuty: @escaping @Sendable () -> Void, logger: Logger) throws {
    self.configuration = configuration
    self.logger = logger
    let mainLoop = Self.group.next()
    let session = NodeSession.starting(nodeID: configuration.node.id)
    self.session = session
    let registry = try Self.makeRegistry(logger)
    self.registry = registry
    let store = try NodeStore(configuration: configuration.redis, nodeID: session.nodeID, eventLoop: mainLoop, logger: logger)
    self.store = store
    patterns = PatternCatalog(store: store.store)

    let high = configuration.highAvailability
    let detection = high.memberHealth
    let ownMembership = Eventual<NodeMembership>()
    let isSilent: @Sendable () -> Bool = { ownMembership.known?.isCutOff ?? false }
    let health = NodeHealth(
      nodeID: session.nodeID, version: ParallaxNode.version, clock: clock,
      cutOffAfter: detection.checkInterval * detection.unhealthyThreshold, storeStatus: store.status,
      isSilent: store.isDurable ? isSilent : nil)
    self.health = health
    let others = high.enabled ? store.shared : nil
    let publisher = others.map {
      EventPublisher(bus: $0.events, session: session, batchSize: high.stateSync.batchSize, logger: logger)
    }
    self.publisher = publisher
    let messenger = others.map { NodeMessenger(inboxes: $0.inboxes, logger: logger) }
    self.messenger = messenger
    let dispatcher = Dispatcher(
      settings: DispatchMachine.Settings(
        session: session, agentWait: configuration.executions.agentWait, resumeGrace: configuration.agents.resumeGrace,
        relocationDelay: high.enabled ? .milliseconds(250) : nil),
      store: store.store, lossy: store.isDurable, retention: configuration.executions.retention,
      maxRetained: configuration.executions.maxRetained, neighbours: Self.neighbours(of: session, messenger, publisher),
      timerLoop: mainLoop, clock: clock,
      metrics: try DispatchMetrics(registry: registry), logger: logger)
    self.dispatcher = dispatcher
    try Self.registerGauges(registry, dispatcher: dispatcher)
    let election = high.enabled ? try Self.makeElection(configuration, store, session, onStuckDuty, logger) : nil
    self.election = election
    let address = Self.address(configuration, boundAddress)
    let membership = try store.shared.map { shared in
      NodeMembership(
        store: shared.members, session: session, clusterID: high.enabled ? high.clusterID : nil,
        keyPrefix: configuration.redis.keyPrefix, settings: try MembershipSettings(detection), address: address,
        report: { Self.report(health, dispatcher, election) }, onAddress: { election?.setAddress($0) },
        onLeft: { publisher?.publish("left", id: session.nodeID, on: .cluster) }, logger: logger)
    }
    self.membership = membership
    if let membership { ownMembership.set(membership) }
  }

  // MARK: Parts

  private static func makeRegistry(_ logger: Logger) throws -> MetricsRegistry {
    let registry = MetricsRegistry()
    MetricsSystem.bootstrap(PrometheusMetricsFactory(registry) { logger.warning("a metric was refused", metadata: ["error": "\($0)"]) })
    try registry.registerProcessMetrics()
    return registry
  }

  private static func makeElection(
    _ configuration: NodeConfiguration, _ store: NodeStore, _ session: NodeSession, _ onStuckDuty: @escaping @Sendable () -> Void,
    _ logger: Logger
  ) throws -> NodeElection? {
    guard let shared = store.shared else { return nil }
    let exit: @Sendable (Fence) -> Void = { _ in onStuckDuty() }
    let exits = configuration.highAvailability.leaderElection.onStuckDuty == .exit
    return NodeElection(
      store: shared.election, session: session, configuration: try ElectionConfiguration(configuration), clock: ContinuousClock(),
      logger: logger, onStuckDuties: exits ? exit : nil)
  }

  private static func neighbours(
    of session: NodeSession, _ messenger: NodeMessenger?, _ publisher: EventPublisher?
  ) -> Dispatcher.Neighbours {
    Dispatcher.Neighbours(
      tell: { message, other in messenger?.tell(message, to: other) },
      publish: { news in
        let event = news.event(nodeID: session.nodeID)
        publisher?.publish(event.type, id: event.id, details: event.details, on: .agent)
      },
      publishStatus: { execution in
        publisher?.publish(
          execution.status.rawValue, id: execution.id, details: ["pattern": .string(execution.pattern.name)], on: .execution)
      })
  }

  /// Where other nodes reach this one.
  private static func address(
    _ configuration: NodeConfiguration, _ boundAddress: Eventual<String>
  ) -> @Sendable () async throws -> String {
    if let address = configuration.node.address { return { address } }
    guard ["0.0.0.0", "::"].contains(configuration.server.host), !configuration.redis.endpoints.isEmpty else {
      return { try await boundAddress.value }
    }
    return {
      let port = try await boundAddress.value.split(separator: ":").last.flatMap { Int($0) } ?? configuration.server.port
      return try await LocalAddress.facing(configuration.redis.endpoints, on: group.next(), port: port)
    }
  }

  private static func report(_ health: NodeHealth, _ dispatcher: Dispatcher, _ election: NodeElection?) -> MemberReport {
    let counts = dispatcher.counts
    let memberHealth: MemberHealth =
      switch health.health().document.status {
      case .healthy: .healthy
      case .degraded: .degraded
      case .unhealthy: .unhealthy
      }
    return MemberReport(
      role: election?.isLeader == true ? .leader : .standby, term: election?.status.term ?? 0, health: memberHealth,
      executions: counts.executions, agents: counts.agents)
  }

  private static func registerGauges(_ registry: MetricsRegistry, dispatcher: Dispatcher) throws {
    try registry.registerGauge("parallax_executions_active", help: "Executions that this node drives.") {
      [MetricSample(Double(dispatcher.counts.executions))]
    }
    try registry.registerGauge("parallax_agents_connected", help: "Registered agents that are connected to this node.") {
      [MetricSample(Double(dispatcher.counts.agents))]
    }
  }

  // MARK: Services

  /// What a node that runs alone does for its store.
  func makeHousekeeping() throws -> NodeLifecycle.Housekeeping {
    NodeLifecycle.Housekeeping(
      recovery: try makeRecovery(), collection: GarbageCollection(store: store.store, settings: configuration.executions, logger: logger))
  }

  func makeRecovery() throws -> SessionRecovery {
    try SessionRecovery(
      store: store.store, inboxes: store.shared?.inboxes, dispatcher: dispatcher, session: session,
      resumeGrace: configuration.agents.resumeGrace, registry: registry, clock: clock, logger: logger)
  }

  func makeServer(cluster: NodeCluster?, onListening: @escaping @Sendable (String) -> Void) throws -> HTTPServer {
    let gateway = SessionGateway(
      settings: AgentSessionMachine.Settings(configuration), dispatcher: dispatcher, health: health, clock: clock,
      metrics: try SessionMetrics(registry: registry), logger: logger)
    let status = NodeStatus(
      session: session, clusterID: configuration.highAvailability.clusterID, configuredAddress: configuration.node.address,
      boundAddress: boundAddress, membership: membership, election: election, clock: clock)
    let controlPlane = ControlPlane(
      session: session, dispatcher: dispatcher, store: store.store, patterns: patterns, health: health, status: status,
      cluster: cluster?.forControlPlane, defaultTimeout: configuration.executions.defaultTimeout, clock: clock)
    let drain = Drain(
      dispatcher: dispatcher, timeout: configuration.server.drainTimeout, finishesExecutions: !store.isDurable,
      others: { [membership, session] in
        // Nobody takes over from a node that runs alone.
        guard cluster != nil, let view = membership?.lastView else { return [] }
        return view.members.filter { $0.status == .healthy && $0.record.session != session }.map(\.record.session)
      }, watch: cluster?.watch)
    return HTTPServer(
      configuration: HTTPServer.Configuration(configuration), controlPlane: controlPlane, gateway: gateway,
      probes: Probes(health: health, registry: registry).answer, group: Self.group,
      hooks: HTTPServer.Hooks(
        onBound: { [boundAddress, configuration] address in
          let url = Self.url(of: address, host: configuration.server.host)
          boundAddress.set(String(url.dropFirst("http://".count)))
          onListening(url)
        },
        onStopAccepting: { await drain() }),
      logger: logger)
  }

  private static func url(of address: SocketAddress, host: String) -> String {
    let name = host == "0.0.0.0" || host == "::" ? "127.0.0.1" : host
    let port = address.port ?? 0
    return name.contains(":") ? "http://[\(name)]:\(port)" : "http://\(name):\(port)"
  }
}

extension ElectionConfiguration {
  fileprivate init(_ configuration: NodeConfiguration) throws {
    let high = configuration.highAvailability
    let election = high.leaderElection
    self.init(
      clusterID: high.clusterID, address: configuration.node.address,
      timings: try ElectionTimings(
        leaseDuration: election.leaseDuration, renewDeadline: election.renewDeadline, retryPeriod: election.retryPeriod),
      priority: election.priority, campaigns: election.enabled, reclaimsOnRestart: election.reclaimOnRestart,
      bootstrapWait: election.bootstrapWait)
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
