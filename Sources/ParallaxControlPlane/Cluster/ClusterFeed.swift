import Logging
import ParallaxAPI
import ParallaxHA
import ParallaxState
import ServiceLifecycle

/// Keeps this node's picture of the others: their agents, who is a member, what patterns there are.
///
/// Events bring news at once. After a gap in them, when a member comes or goes, and once a minute all is read anew.
struct ClusterFeed: Service {
  let bus: any EventBus
  let store: any StateStore
  let session: NodeSession
  let members: NodeMembers
  let dispatcher: Dispatcher
  let messenger: NodeMessenger
  let patterns: PatternCatalog
  let publisher: EventPublisher
  let latency: SyncLatency
  /// Called when a member was lost.
  let onLoss: @Sendable () -> Void
  let clock: NodeClock
  let logger: Logger

  private let looks = Pokes()
  private let memberReads = Pokes()

  private static let lookInterval: Duration = .seconds(60)
  private static let loadInterval: Duration = .milliseconds(100)
  private static let markerInterval: Duration = .seconds(1)
  private static let failurePause: Duration = .milliseconds(500)

  init(
    bus: any EventBus, store: any StateStore, session: NodeSession, members: NodeMembers, dispatcher: Dispatcher,
    messenger: NodeMessenger, patterns: PatternCatalog, publisher: EventPublisher, latency: SyncLatency,
    onLoss: @escaping @Sendable () -> Void, clock: NodeClock, logger: Logger
  ) {
    self.bus = bus
    self.store = store
    self.session = session
    self.members = members
    self.dispatcher = dispatcher
    self.messenger = messenger
    self.patterns = patterns
    self.publisher = publisher
    self.latency = latency
    self.onLoss = onLoss
    self.clock = clock
    self.logger = logger
  }

  func run() async throws {
    await cancelWhenGracefulShutdown {
      await withTaskGroup(of: Void.self) { group in
        group.addTask { for await delivery in bus.subscribe(to: [.agent, .cluster]) { handle(delivery) } }
        group.addTask { await followMembers() }
        group.addTask { await lookAround() }
        group.addTask { await readMembers() }
        group.addTask {
          await every(Self.lookInterval) { looks.poke() }
        }
        group.addTask {
          await every(Self.loadInterval) { dispatcher.publishLoads() }
        }
        group.addTask {
          await every(Self.markerInterval) {
            let marker = latency.send(at: clock.now.instant)
            publisher.publish("marker", id: session.nodeID, details: ["marker": .integer(marker)], on: .cluster)
          }
        }
      }
    }
  }

  private func every(_ interval: Duration, _ work: () -> Void) async {
    while !Task.isCancelled {
      work()
      try? await Task.sleep(for: interval)
    }
  }

  // MARK: Events

  private func handle(_ delivery: EventDelivery) {
    switch delivery {
    case .gap:
      looks.poke()
      memberReads.poke()
    case .event(let event, .agent):
      let sender = NodeSession(nodeID: event.nodeId, incarnation: event.incarnation)
      if sender != session, let news = AgentNews(event) { dispatcher.heard(news, from: sender) }
    case .event(let event, .cluster): handleCluster(event)
    case .event(_, .execution): break
    }
  }

  private func handleCluster(_ event: ClusterEvent) {
    let isOwn = event.nodeId == session.nodeID && event.incarnation == session.incarnation
    switch event.type {
    case "marker":
      if isOwn, let marker = event.details?["marker"]?.integerValue { latency.received(marker, at: clock.now.instant) }
    case "pattern": if !isOwn { patterns.forget(event.id) }
    default: if !isOwn { memberReads.poke() }
    }
  }

  /// Reads the members when an event says that they have changed, rather than at the next heartbeat.
  private func readMembers() async {
    for await _ in memberReads.stream { _ = await members.refreshedView() }
  }

  // MARK: Members

  private func followMembers() async {
    let events = members.events()
    // Who was there before is no event.
    looks.poke()
    memberReads.poke()
    for await event in events {
      switch event {
      case .joined(let member), .becameHealthy(let member):
        messenger.remember(member.session)
        looks.poke()
      case .restarted(_, let former): lost(former)
      case .left(let member), .becameUnhealthy(let member): lost(member.session)
      case .cutOff: dispatcher.askAgentsToReconnect(reason: "cut_off", over: .seconds(2))
      case .reconnected: looks.poke()
      case .twin: break
      }
    }
  }

  private func lost(_ other: NodeSession) {
    guard other != session else { return }
    messenger.forget(other)
    dispatcher.memberLost(other)
    looks.poke()
    onLoss()
  }

  // MARK: Looking around

  private func lookAround() async {
    for await _ in looks.stream {
      do {
        try await look()
      } catch {
        logger.debug("the other nodes' agents could not be read; trying again", metadata: ["error": "\(error)"])
        try? await Task.sleep(for: Self.failurePause)
        looks.poke()
      }
    }
  }

  private func look() async throws {
    let view = members.view
    try await patterns.load()
    for member in view.members where member.isAlive && member.record.session != session {
      let home = member.record.session
      let before = dispatcher.agentEpochs(at: home)
      dispatcher.listed(try await store.agents(at: home), at: home, before: before)
    }
  }
}

/// Wakes one consumer; pokes that come while it is busy count as one.
struct Pokes: Sendable {
  let stream: AsyncStream<Void>
  private let continuation: AsyncStream<Void>.Continuation

  init() {
    (stream, continuation) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
  }

  func poke() {
    continuation.yield()
  }
}
