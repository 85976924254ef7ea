import Logging
import ParallaxAPI
import ParallaxConcurrency
import ParallaxHA
import ParallaxState
import ServiceLifecycle
import Synchronization

private final class Openings: Sendable {
  let value = Mutex(SessionOpenings())
}

/// Starts the node when its store is reachable and belongs to its cluster, then maintains the node's state in the store until the node
/// stops.
struct NodeLifecycle: Service {
  let session: NodeSession
  let backend: any Backend
  let membership: NodeMembership
  let election: NodeElection
  let patterns: PatternCatalog
  /// The patterns to store at the start, and when they change.
  let shippedPatterns: ShippedPatterns
  let health: NodeHealth
  let dispatcher: Dispatcher
  let recovery: SessionRecovery
  /// Whether to recover former sessions before the node is ready, because there is no other node to do it and their agents reconnect soon.
  let recoversFirst: Bool
  let publisher: EventPublisher
  /// Set when the node has started.
  let started: Deferred<Void>
  /// Returns when the server listens: a node that cannot is never ready.
  let waitUntilBound: @Sendable () async throws -> Void
  let onReady: @Sendable () -> Void
  let clock: NodeClock
  let logger: Logger
  private let openings = Openings()

  private static let beatInterval = Duration.seconds(1)
  private static let startInterval = Duration.milliseconds(250)
  private static let shortestOpenInterval = Duration.milliseconds(100)

  func run() async throws {
    try await cancelWhenGracefulShutdown {
      do {
        try await withThrowingTaskGroup(of: Void.self) { group in
          group.addTask {
            try await start()
            try await attend()
          }
          group.addTask { try await membership.watchForTwin() }
          // Neither task returns: the first error ends the node.
          try await group.next()
        }
      } catch is CancellationError {
        // The node stops.
      }
    }
  }

  // MARK: The start

  private func start() async throws {
    while true {
      health.beat()
      do {
        try await prepare()
        try await waitUntilBound()
        return takePart()
      } catch let error as MembershipError where error.code == .storeInUse {
        throw error
      } catch is CancellationError {
        throw CancellationError()
      } catch {
        // The store's client logs the outage once, and the readiness probe shows it while it lasts.
        health.waits(because: "\(error)")
        logger.debug("not started yet", metadata: ["error": "\(error)"])
      }
      try await clock.sleep(for: Self.startInterval)
    }
  }

  private func prepare() async throws {
    try await membership.check()
    var adoption = RecordAdoption(session: session, clusterID: election.configuration.clusterID)
    try await adoption.run(on: AnyElectionStore(backend.election), clock: clock)
    try await open()
    dispatcher.isOpening.store(false, ordering: .relaxed)
    for pattern in shippedPatterns.all { _ = try await patterns.put(pattern) }
    try await patterns.load()
    if recoversFirst { try await recovery.run(try await backend.state.sessions().filter { $0.key != session }) }
  }

  private func takePart() {
    guard health.started() else { return }
    started.set(())
    membership.members.announce()
    publisher.publish("joined", id: session.nodeID, on: .cluster)
    onReady()
  }

  // MARK: The store

  private func attend() async throws {
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { try await keepOpen() }
      group.addTask { try await beat() }
      group.addTask { await attendToResets() }
      group.addTask { try await storeReplacedPatterns() }
      try await group.waitForAll()
    }
  }

  private func attendToResets() async {
    for await reset in backend.storeResets() {
      dispatcher.storeReset(connectionAge: reset.age)
      await renewOpening()
      await attempt("restoring the patterns") { try await patterns.restore() }
    }
  }

  /// Stores the patterns of the files after each reload, as soon as the store takes them.
  private func storeReplacedPatterns() async throws {
    for await _ in shippedPatterns.replaced {
      while true {
        do {
          for pattern in shippedPatterns.changed {
            _ = try await patterns.put(pattern)
            shippedPatterns.stored(pattern)
            publisher.publish("pattern", id: pattern.name, on: .cluster)
          }
          break
        } catch {
          logger.debug("storing the patterns failed; the next round tries again", metadata: ["error": "\(error)"])
        }
        try await clock.sleep(for: Self.beatInterval)
      }
    }
  }

  private func beat() async throws {
    var reported = health.condition.status
    var wasCutOff = false
    while true {
      try await clock.sleep(for: Self.beatInterval)
      health.beat()
      let (status, isCutOff) = (health.condition.status, health.condition.isCutOff)
      // Agents are refused meanwhile.
      if isCutOff || wasCutOff { dispatcher.handle(.agent(.cutOff(isCutOff))) }
      wasCutOff = isCutOff
      // An early heartbeat tells the other nodes about the change of health at once.
      if status != reported { membership.members.announce() }
      reported = status
      election.setEligible(health.isFit || !hasFitOther)
    }
  }

  private var hasFitOther: Bool {
    membership.members.view.members.contains { $0.id != session.nodeID && $0.status == .healthy }
  }

  /// Keeps the node's session open: a node whose session may be closed accepts no work until it is open again.
  private func keepOpen() async throws {
    while true {
      try await clock.sleep(for: openInterval)
      await renewOpening()
    }
  }

  private func renewOpening() async {
    await attempt("keeping the session open") {
      guard try await open() else { return dispatcher.isOpening.store(false, ordering: .relaxed) }
      logger.warning("the store had lost this node's session: rewriting its agents and patterns, rereading its executions")
      // First, as a failure of the rest would hide the loss: the store reports it once.
      dispatcher.storeForgot()
      dispatcher.isOpening.store(false, ordering: .relaxed)
      try await patterns.restore()
    }
  }

  /// Short enough for at least two attempts within the silence after which a member counts as lost.
  private var openInterval: Duration {
    max(Self.shortestOpenInterval, membership.members.settings.detectionWindow / 4)
  }

  @discardableResult
  private func open() async throws -> Bool {
    // The call confirms the session as of its start: a node may close the session during the call.
    let now = health.now
    dispatcher.isOpening.store(true, ordering: .relaxed)
    let isNew: Bool
    var generation: Int64?
    do {
      isNew = try await backend.state.open(session)
      if openings.value.withLock({ $0.needsGeneration }) { generation = try await backend.state.sessions()[session] }
    } catch {
      openings.value.withLock { $0.failed() }
      throw error
    }
    health.opened(at: now)
    await attempt("reading the store's clock") { try await clock.follow { try await backend.state.currentTime() } }
    return openings.value.withLock { $0.answered(isNew: isNew, generation: generation) }
  }

  private func attempt(_ what: String, _ work: () async throws -> Void) async {
    do { try await work() } catch { logger.debug("\(what) failed; the next round tries again", metadata: ["error": "\(error)"]) }
  }
}
