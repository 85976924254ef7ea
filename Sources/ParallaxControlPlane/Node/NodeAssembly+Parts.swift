import Logging
import NIOCore
import ParallaxAPI
import ParallaxHA
import ParallaxMetrics
import ParallaxServer
import ParallaxState
import ParallaxWitness
import ServiceLifecycle

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// Factories of the parts that take more than one line.
extension NodeAssembly {
  // MARK: Election and members

  static func election(
    _ configuration: NodeConfiguration, _ backend: any Backend, _ session: NodeSession, onStuckDuty: @escaping @Sendable () -> Void,
    _ clock: NodeClock, _ logger: Logger
  ) throws -> NodeElection {
    let exit: @Sendable (FencingToken) -> Void = { _ in onStuckDuty() }
    return NodeElection(
      store: AnyElectionStore(backend.election), session: session, configuration: try ElectionConfiguration(configuration),
      clock: clock.monotonic, logger: logger,
      onStuckDuties: configuration.highAvailability.leaderElection.onStuckDuty == .exit ? exit : nil)
  }

  static func membership(
    _ configuration: NodeConfiguration, _ backend: any Backend, _ session: NodeSession, _ address: NodeAddress,
    _ publisher: EventPublisher, _ election: NodeElection, report: @escaping @Sendable () -> MemberReport, _ clock: NodeClock,
    _ logger: Logger
  ) throws -> NodeMembership {
    let store = AnyMembershipStore(backend.membership)
    let clusterID = configuration.isAlone ? nil : configuration.highAvailability.clusterID
    var logger = logger
    // The store's client already reports an outage.
    if configuration.isAlone { logger.logLevel = max(logger.logLevel, .error) }
    let members = NodeMembers(
      store: store, session: session, clusterID: clusterID, address: address.provisional, version: ParallaxNode.version,
      settings: try MembershipSettings(configuration.highAvailability.memberHealth), clock: clock.monotonic, logger: logger,
      report: report)
    return NodeMembership(
      members: members,
      storeGuard: StoreGuard(
        store: store, nodeID: session.nodeID, clusterID: clusterID, keyPrefix: backend.namespace, clock: clock.monotonic),
      address: { try await address.resolve() }, onAddress: { election.setAddress($0) },
      onLeft: { publisher.publish("left", id: session.nodeID, on: .cluster) })
  }

  /// Makes the keeper of the witness; none for a node alone, without Redis, or in a program that runs no witness.
  func makeWitness(_ hooks: ParallaxNode.Hooks) throws -> [any Service] {
    guard hooks.hasWitness, !configuration.isAlone, configuration.redis.isConfigured, configuration.highAvailability.witness == .auto else {
      return []
    }
    let orders = WitnessOrders(
      process: ProcessInfo.processInfo.processIdentifier, session: session, timings: election.configuration.timings,
      keyPrefix: configuration.redis.keyPrefix,
      requiredReplicas: configuration.redis.requireReplicas,
      redis: RedisAccess(configuration.redis, clientName: "parallax-witness-\(session.nodeID)"),
      logsJSON: NodeLogHandler.format(configuration.logging.format) == .json)
    let keeper = try WitnessKeeper(
      orders: orders, descriptor: hooks.witnessDescriptor, executable: hooks.witnessExecutable,
      hasLeft: { [election, members = membership.members] in members.hasLeft && !election.mayHoldRecord }, registry: registry,
      clock: clock, logger: logger)
    return [keeper]
  }

  func makeLeadership() -> Leadership {
    let store = backend.state
    let recovery = RecoveryDuty(
      store: store, session: session, members: membership.members, recovery: recovery,
      removeAfter: configuration.highAvailability.memberHealth.removeAfter, logger: logger)
    let collection = GarbageCollection(store: store, settings: configuration.executions, clock: clock, logger: logger)
    let overdue = OverdueExecutions(
      store: store, clock: clock,
      remind: { [session, dispatcher, messenger] id, owner in
        if owner == session {
          dispatcher.handle(.outcomeRecorded(of: id))
        } else {
          messenger.send(.recorded(execution: id, task: ""), to: owner)
        }
      }, logger: logger)
    let strays = StrayExecutions(store: store, recovery: self.recovery, clock: clock)
    var duties = [
      LeaderDuty("recovery", every: RecoveryDuty.interval, trigger: losses) { _ in try await recovery.run() },
      LeaderDuty("garbage-collection", every: CollectionRound.interval) { _ in try await collection.run() },
      LeaderDuty("deadlines", every: OverdueExecutions.interval) { _ in try await overdue.run() },
    ]
    if backend.traits.losesAcknowledgedWrites {
      duties.append(LeaderDuty("strays", every: StrayExecutions.interval) { _ in try await strays.run() })
    }
    return Leadership(
      election: election, duties: LeaderDuties(duties, clock: clock.monotonic, logger: logger), members: membership.members,
      publisher: publisher)
  }

  func makeFeed() throws -> ClusterFeed {
    ClusterFeed(
      bus: backend.events, store: backend.state, session: session, members: membership.members, dispatcher: dispatcher,
      messenger: messenger, patterns: patterns, publisher: publisher, latency: latency,
      activity: activity, meter: meter,
      deaths: try registry.makeCounter(
        "parallax_ha_deaths_witnessed_total",
        help: "Ends of other nodes' processes that their witnesses have recorded, as seen by this node."
      ).withLabels(), onLoss: { [losses] in losses.fire() }, clock: clock, logger: logger)
  }

  // MARK: The node's life

  func makeLifecycle(shippedPatterns: ShippedPatterns, onReady: @escaping @Sendable () -> Void) -> NodeLifecycle {
    NodeLifecycle(
      session: session, backend: backend, membership: membership, election: election, patterns: patterns, shippedPatterns: shippedPatterns,
      health: health, dispatcher: dispatcher, recovery: recovery, recoversFirst: configuration.isAlone, publisher: publisher,
      started: started, waitUntilBound: { [address] in try await address.waitUntilBound() }, onReady: onReady, clock: clock, logger: logger)
  }

  func makeShutdown() -> Shutdown {
    let successors: @Sendable () async -> [NodeSession] = {
      [health, clock, members = membership.members, isAlone = configuration.isAlone] in
      guard !isAlone else { return [] }
      // The report of a node that leaves is unhealthy.
      if !health.isLeaving { health.stage = .leaving(hasSuccessor: false) }
      return await members.announceStop(within: ShutdownPlan.announcementLimit, clock: clock)
    }
    var parts = Shutdown.Parts(
      health: health, election: election, dispatcher: dispatcher, watch: watch, listener: listener, successors: successors)
    parts.hasServed = { [address] in address.isBound }
    return Shutdown(
      delay: configuration.server.drainDelay, timeout: configuration.server.drainTimeout, parts: parts,
      clock: clock, logger: logger)
  }

  // MARK: The server

  func makeControlPlane(log: NodeLogLevel? = nil) throws -> ControlPlane {
    let members = membership.members
    return ControlPlane(
      session: session, clusterID: configuration.highAvailability.clusterID, isAlone: configuration.isAlone, dispatcher: dispatcher,
      store: backend.state, patterns: patterns, health: health,
      status: NodeStatus(clusterID: configuration.highAvailability.clusterID, members: members, election: election, clock: clock),
      commands: try ClusterCommands(election: election, members: members, registry: registry, logger: logger), watch: watch,
      messenger: messenger, publisher: publisher, activity: activity, relay: events,
      queueReports: queueReports,
      gate: RestorationGate(
        store: backend.state, session: session, dispatcher: dispatcher, health: health, clock: clock,
        isStoreLossy: backend.traits.losesAcknowledgedWrites),
      diagnosis: NodeDiagnosis(
        NodeDiagnosis.Parts(
          session: session, configuration: configuration, backend: backend, members: members, election: election, latency: latency,
          publisher: publisher, clock: clock)),
      debugging: NodeDebug(session: session, commit: commit, configuration: configurationInForce, log: log, clock: clock),
      defaultTimeout: configuration.executions.defaultTimeout, clock: clock)
  }

  /// Makes the server, and with TLS the service that reloads its certificates.
  func makeServer(
    shutdown: Shutdown, _ callbacks: ParallaxNode.Hooks
  ) throws -> (server: HTTPServer, certificates: CertificateReloader?) {
    let gateway = SessionGateway(
      settings: AgentSessionMachine.Settings(configuration), dispatcher: dispatcher, health: health, clock: clock,
      metrics: try SessionMetrics(registry: registry), logger: logger)
    var settings = HTTPServer.Configuration(configuration)
    settings.tls = try configuration.makeServerTLS()
    settings.tokens = try configuration.makeTokenVerifier(logger: logger)
    let server = HTTPServer(
      configuration: settings, controlPlane: try makeControlPlane(log: callbacks.log), gateway: gateway,
      probes: Probes(health: health, metrics: metrics, registry: registry).answer, listener: listener, group: group,
      hooks: HTTPServer.Hooks(
        onBound: { [address] bound in
          callbacks.onListening(address.url(of: bound))
          address.bound(bound)
        }, onStopAccepting: { await shutdown.acceptingEnded() },
        isLeaving: { [health] in health.isLeaving }),
      clock: clock.monotonic, logger: logger)
    guard let tls = settings.tls, let certificates = ServerCertificates(configuration) else { return (server, nil) }
    return (server, CertificateReloader(certificates: certificates, tls: tls, clock: clock.monotonic, logger: logger))
  }
}

extension Peers {
  /// Makes the connection to the other nodes of a cluster.
  init(session: NodeSession, messenger: NodeMessenger, publisher: EventPublisher) {
    self.init(
      tell: { message, other in messenger.send(message, to: other) },
      publish: { news in
        let event = news.event(nodeID: session.nodeID)
        publisher.publish(event.type, id: event.id, details: event.details, on: .agent)
      },
      publishStatus: { execution in
        publisher.publish(
          execution.status.rawValue, id: execution.id, details: ["pattern": .string(execution.pattern.name)], on: .execution)
      })
  }
}

extension MemberReport {
  /// Makes a node's report about itself at this moment.
  init(_ health: NodeHealth, _ dispatcher: Dispatcher, _ election: NodeElection) {
    let counts = dispatcher.counts
    let status = election.status
    let memberHealth: MemberHealth =
      switch health.health().document.status {
      case .healthy: .healthy
      case .degraded: .degraded
      case .unhealthy: .unhealthy
      }
    self.init(
      role: status.isLeader ? .leader : .standby, term: status.term, health: memberHealth, executions: counts.executions,
      agents: counts.agents)
  }
}

// MARK: - Settings of the parts

extension NodeConfiguration {
  /// Whether the node is a cluster of one, which leads at once and recovers its former sessions before it is ready.
  var isAlone: Bool { !highAvailability.enabled }
}

extension NodeConfiguration.MemberHealth {
  /// The silence after which a member counts as lost.
  var detectionWindow: Duration { checkInterval * unhealthyThreshold }
}

extension ElectionConfiguration {
  fileprivate init(_ configuration: NodeConfiguration) throws {
    let (high, isAlone) = (configuration.highAvailability, configuration.isAlone)
    let election = high.leaderElection
    self.init(
      clusterID: isAlone ? RecordAdoption.aloneClusterID : high.clusterID, address: configuration.node.address,
      timings: try ElectionTimings(
        leaseDuration: election.leaseDuration, renewDeadline: election.renewDeadline, retryPeriod: election.retryPeriod),
      priority: election.priority, campaigns: isAlone || election.enabled, reclaimsOnRestart: isAlone || election.reclaimOnRestart,
      bootstrapWait: isAlone ? .zero : election.bootstrapWait)
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
      taskTimeout: configuration.executions.defaultTimeout, maxMessagesPerSecond: configuration.agents.maxMessagesPerSecond,
      maxMessageSize: configuration.agents.maxMessageSize)
  }
}

extension HTTPServer.Configuration {
  /// The settings without certificates and keys for tokens, which are in files.
  init(_ configuration: NodeConfiguration) {
    var limits = ConnectionLimits()
    limits.requestBody = configuration.limits.requestBody
    limits.connections = configuration.server.maxConnections
    limits.agentMessageSize = configuration.agents.maxMessageSize
    // A message has at least one frame, and pings and the parts of messages come on top.
    limits.agentFramesPerSecond = max(1_000, 10 * configuration.agents.maxMessagesPerSecond)
    limits.agentCompression = configuration.agents.compressFrom
    self.init(
      host: configuration.server.host, port: configuration.server.port, limits: limits,
      allowUnauthenticated: configuration.security.allowUnauthenticated, keys: KeyRing(configuration.security.authentication.apiKeys),
      protectStatus: configuration.security.protectStatus, requestsPerMinute: configuration.limits.requestsPerMinute,
      accessLog: AccessLog(configuration.logging.accessLog, sample: configuration.logging.accessSample),
      allowedOrigins: Set(configuration.server.allowedOrigins),
      knownHosts: Set(configuration.server.hosts + (configuration.node.address.map { [AccessGuard.hostName(of: $0)] } ?? [])),
      trustedProxies: configuration.server.trustedProxies.compactMap { IPNetwork($0) },
      closeTimeout: ShutdownPlan.connectionLimit)
  }
}
