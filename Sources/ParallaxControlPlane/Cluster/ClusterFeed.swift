import Logging
import ParallaxAPI
import ParallaxConcurrency
import ParallaxHA
import ParallaxMetrics
import ParallaxState
import ServiceLifecycle

/// Keeps this node's view of its cluster current: the members, the agents of the other nodes, the patterns.
///
/// Events update the view at once; ``ClusterEventPolicy`` maps each to its effects. The feed rereads everything after a gap in the events,
/// when a member joins or leaves, and once a minute.
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
  let activity: Activity
  let meter: ActivityMeter
  let deaths: CounterSeries
  /// Called when a member is lost.
  let onLoss: @Sendable () -> Void
  let clock: NodeClock
  let logger: Logger

  private let policy: ClusterEventPolicy
  private let agentReads = WakeUp()
  private let memberReads = WakeUp()

  private static let readInterval: Duration = .seconds(60)
  private static let loadInterval: Duration = .milliseconds(100)
  private static let markerInterval: Duration = .seconds(1)
  private static let firstPause: Duration = .milliseconds(500)
  private static let longestPause: Duration = .seconds(5)
  /// The time over which a node that is cut off spreads the departure of its agents.
  private static let releaseSpread: Duration = .seconds(2)

  init(
    bus: any EventBus, store: any StateStore, session: NodeSession, members: NodeMembers, dispatcher: Dispatcher,
    messenger: NodeMessenger, patterns: PatternCatalog, publisher: EventPublisher, latency: SyncLatency,
    activity: Activity, meter: ActivityMeter, deaths: CounterSeries, onLoss: @escaping @Sendable () -> Void, clock: NodeClock,
    logger: Logger
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
    self.activity = activity
    self.meter = meter
    self.deaths = deaths
    self.onLoss = onLoss
    self.clock = clock
    self.logger = logger
    policy = ClusterEventPolicy(session: session)
  }

  func run() async throws {
    await cancelWhenGracefulShutdown {
      await withTaskGroup(of: Void.self) { group in
        group.addTask { for await delivery in bus.subscribe(to: [.agent, .cluster]) { perform(policy.effects(of: delivery)) } }
        group.addTask { await followMembers() }
        group.addTask { await readAgents() }
        group.addTask { await readMembers() }
        group.addTask { await every(Self.readInterval, clock: clock.monotonic) { agentReads.signal() } }
        group.addTask { await every(Self.loadInterval, clock: clock.monotonic) { dispatcher.handle(.agent(.loadsDue)) } }
        group.addTask { await every(Self.markerInterval, clock: clock.monotonic) { sendMarker() } }
        group.addTask { await every(Activity.interval, clock: clock.monotonic, startsAtOnce: false) { tellActivity() } }
      }
    }
  }

  private func sendMarker() {
    let marker = latency.send(at: clock.now.instant)
    publisher.publish("marker", id: session.nodeID, details: ["marker": .integer(marker)], on: .cluster)
  }

  private func tellActivity() {
    let (counts, now) = (dispatcher.counts, clock.now)
    let sample = meter.take(
      at: now.wall, running: counts.executions - counts.waiting, waiting: counts.waiting, agents: counts.agents)
    activity.add(sample, of: session.nodeID, at: now.instant)
    publisher.publish(Activity.eventType, id: session.nodeID, details: sample.details, on: .cluster)
  }

  private func perform(_ effects: [ClusterEventPolicy.Effect]) {
    for effect in effects {
      switch effect {
      case .readAgents: agentReads.signal()
      case .readMembers: memberReads.signal()
      case .announced(let announcement, let sender): dispatcher.handle(.agent(.announced(announcement, from: sender)))
      case .publishLoads: dispatcher.handle(.agent(.loadsMissed))
      case .patternChanged(let name): patterns.forget(name)
      case .markerReturned(let marker): latency.received(marker, at: clock.now.instant)
      case .regained(let session): messenger.sessionReturned(session)
      case .lost(let session):
        messenger.sessionLost(session)
        dispatcher.handle(.agent(.memberLost(session)))
        onLoss()
      case .activity(let sample, let node): activity.add(sample, of: node, at: clock.now.instant)
      case .releaseAgents: dispatcher.askAgentsToReconnect(reason: "cut_off", over: Self.releaseSpread)
      }
    }
  }

  // MARK: Members

  private func followMembers() async {
    let events = members.events()
    // The stream of events does not report the members that joined before it began.
    agentReads.signal()
    memberReads.signal()
    for await event in events {
      if case .ended = event { deaths.increment() }
      perform(policy.effects(of: event))
    }
  }

  private func readMembers() async {
    for await _ in memberReads { _ = await members.refreshedView() }
  }

  // MARK: Agents

  private func readAgents() async {
    var pause = Self.firstPause
    for await _ in agentReads {
      do {
        try await readAgentsOnce()
        pause = Self.firstPause
      } catch {
        logger.debug("could not read the agents of the other nodes; retrying", metadata: ["error": "\(error)"])
        do { try await clock.sleep(for: pause) } catch { return }
        pause = min(pause * 2, Self.longestPause)
        agentReads.signal()
      }
    }
  }

  private func readAgentsOnce() async throws {
    let homes = dispatcher.agentHomes
    // The view must be later than the homes: a session among these that it lacks has left.
    let view = await members.refreshedView()
    // A late announcement or a late read may have revived the agents of a session after its loss.
    if !view.isStale {
      let unreadable = Set(view.unreadable.keys)
      let living = Set(view.members.lazy.filter(\.isAlive).map(\.record.session))
      for home in policy.lostHomes(homes, living: living, unreadable: unreadable) { dispatcher.handle(.agent(.memberLost(home))) }
    }
    publisher.publish(ClusterEventPolicy.loadRequest, id: session.nodeID, on: .cluster)
    try await patterns.load()
    try await dispatcher.restoreRegistrations()
    for member in view.members where member.isAlive && member.record.session != session {
      let home = member.record.session
      let before = dispatcher.agentEpochs(at: home)
      dispatcher.handle(.agent(.listed(try await store.agents(at: home), at: home, before: before)))
    }
  }
}
