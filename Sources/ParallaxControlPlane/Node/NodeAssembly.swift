import Logging
import NIOCore
import NIOPosix
import ParallaxAPI
import ParallaxConcurrency
import ParallaxHA
import ParallaxMetrics
import ParallaxServer
import ParallaxState
import ServiceLifecycle

/// Composes a node: lists its parts and connects them.
struct NodeAssembly {
  let configuration: NodeConfiguration
  let backend: any Backend
  let registry: MetricsRegistry
  /// The commit from which the program was built.
  let commit: String?
  let logger: Logger

  let clock: NodeClock
  let session: NodeSession
  let started = Deferred<Void>()
  let address: NodeAddress
  let patterns: PatternCatalog
  let health: NodeHealth
  let publisher: EventPublisher
  let messenger: NodeMessenger
  let dispatcher: Dispatcher
  let election: NodeElection
  let membership: NodeMembership
  let recovery: SessionRecovery
  let watch: ExecutionWatch
  let listener: ServerListener
  let queueReports: QueueReports
  let metrics: NodeMetrics
  let latency: SyncLatency
  let activity = Activity()
  let configurationInForce: NodeDebug.ConfigurationInForce
  let meter: ActivityMeter
  let activityLog: ActivityLog
  let events: EventRelay
  /// Starts a round of the leader's recovery at once when a member is lost.
  let losses = LeaderDuty.Trigger()

  /// The event loops of the server.
  let group: any EventLoopGroup
  let eventLoops: EventLoopWatch

  init(
    configuration: NodeConfiguration, backend: any Backend, registry: MetricsRegistry, commit: String? = nil,
    onStuckDuty: @escaping @Sendable () -> Void, group: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton,
    clock: NodeClock = NodeClock(), logger: Logger
  ) throws {
    let session = NodeSession.starting(nodeID: configuration.node.id)
    let store = backend.state
    self.configuration = configuration
    configurationInForce = NodeDebug.ConfigurationInForce(configuration)
    self.backend = backend
    self.registry = registry
    self.commit = commit
    self.clock = clock
    self.logger = logger
    self.session = session
    self.group = group

    address = NodeAddress(configuration: configuration, backend: backend, clock: clock)
    patterns = PatternCatalog(store: store)
    health = NodeHealth(
      nodeID: session.nodeID, version: ParallaxNode.version, clock: clock,
      cutOffAfter: configuration.highAvailability.memberHealth.detectionWindow, storeStatus: { backend.status })
    eventLoops = EventLoopWatch(group, clock: clock)
    health.watchLoops { [eventLoops] in eventLoops.longestWait }
    publisher = EventPublisher(
      bus: backend.events, session: session, batchSize: configuration.highAvailability.stateSync.batchSize, clock: clock,
      logger: logger)
    messenger = NodeMessenger(inboxes: backend.inboxes, clock: clock, logger: logger)
    let dispatchMetrics = try DispatchMetrics(registry: registry)
    meter = dispatchMetrics.meter
    activityLog = ActivityLog(clock: clock, logger: logger)
    events = EventRelay(bus: backend.events, session: session, clock: clock)
    let dispatcher = Dispatcher(
      settings: DispatchMachine.Settings(
        session: session, agentWait: configuration.executions.agentWait, resumeGrace: configuration.agents.resumeGrace,
        relocationDelay: .milliseconds(250), heartbeatInterval: configuration.agents.heartbeatInterval,
        isStoreLossy: backend.traits.losesAcknowledgedWrites,
        maxRetained: configuration.executions.maxRetained, partitions: backend.partitions),
      store: store, retention: configuration.executions.retention,
      peers: Peers(session: session, messenger: messenger, publisher: publisher),
      timerLoop: group.next(), clock: clock, metrics: dispatchMetrics, activityLog: activityLog, logger: logger)
    self.dispatcher = dispatcher
    election = try Self.election(configuration, backend, session, onStuckDuty: onStuckDuty, clock, logger)
    membership = try Self.membership(
      configuration, backend, session, address, publisher, election,
      report: { [health, dispatcher, election] in MemberReport(health, dispatcher, election) }, clock, logger)
    recovery = try SessionRecovery(
      store: store, inboxes: backend.inboxes, dispatcher: dispatcher, session: session, resumeGrace: configuration.agents.resumeGrace,
      registry: registry, clock: clock, logger: logger)
    listener = ServerListener(clock: clock.monotonic)
    watch = ExecutionWatch(store: store, session: session, clock: clock) { [messenger] in messenger.send($0, to: $1) }
    latency = try SyncLatency(registry: registry)
    queueReports = QueueReports(dispatcher: dispatcher, clock: clock)
    metrics = try NodeMetrics(
      registry: registry, commit: commit, election: election, members: membership.members, dispatcher: dispatcher, queues: queueReports,
      clock: clock)
    if backend.traits.isShared { health.watchSilence { [members = membership.members] in members.isCutOff } }
  }

  // MARK: Services

  /// The services of the node, in the order in which they start.
  ///
  /// - Parameters:
  ///   - shippedPatterns: The patterns to store at start.
  ///   - hooks: The callbacks of the program that runs the node.
  /// - Returns: The services, and the settings that change while they run.
  /// - Throws: An error that names the invalid setting, or the metric that is registered already.
  func services(
    shippedPatterns: [PatternDefinition], hooks: ParallaxNode.Hooks
  ) throws -> (services: [any Service], settings: ReloadableSettings) {
    let shutdown = makeShutdown()
    let shipped = ShippedPatterns(shippedPatterns)
    let keyFile = TokenKeyFile(configuration)?.contents
    let (server, certificates) = try makeServer(shutdown: shutdown, hooks)
    let settings = ReloadableSettings(
      configuration, inForce: configurationInForce, keyFile: keyFile, server: server, certificates: certificates, patterns: shipped,
      clock: clock.monotonic,
      logger: logger)
    let services = try NodePart.allCases.flatMap { part -> [any Service] in
      switch part {
      case .witness: try makeWitness(hooks)
      case .backend: backend.services
      case .events: [publisher]
      case .messages: [messenger]
      case .membership: [membership]
      case .dispatcher:
        [dispatcher, ActivityReport(log: activityLog, dispatcher: dispatcher, election: election, clock: clock)]
      case .inbox:
        [
          AfterStart(
            started: started,
            base: InboxReceiver(inboxes: backend.inboxes, session: session, dispatcher: dispatcher, watch: watch, logger: logger))
        ]
      case .feed: [AfterStart(started: started, base: try makeFeed()), events]
      // A node that cannot start must not lead, and must not touch the election record of another cluster.
      case .leadership: [AfterStart(started: started, base: makeLeadership())]
      case .lifecycle: [makeLifecycle(shippedPatterns: shipped, onReady: hooks.onReady)]
      case .server: (certificates.map { [$0] } ?? []) + [settings, eventLoops, server]
      case .shutdown: [shutdown]
      }
    }
    return (services, settings)
  }
}
