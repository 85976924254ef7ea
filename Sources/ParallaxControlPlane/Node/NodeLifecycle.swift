import Logging
import ParallaxAPI
import ParallaxHA
import ParallaxState
import ServiceLifecycle

/// A node's life beside its requests: it starts when the store is there and its own, then keeps house until it stops.
struct NodeLifecycle: Service {
  let session: NodeSession
  let store: any StateStore
  /// Tells when the store may have lost what it had acknowledged; nil if it cannot.
  let doubts: (@Sendable () -> AsyncStream<ContinuousClock.Instant>)?
  /// Nil if nobody else can have the store.
  let membership: NodeMembership?
  let patterns: PatternCatalog
  /// The patterns of `patterns.directory`.
  let shippedPatterns: [PatternDefinition]
  let health: NodeHealth
  let dispatcher: Dispatcher
  /// What a node that runs alone does itself and a cluster has its leader do; nil in a cluster.
  let housekeeping: Housekeeping?
  /// Nil if the node runs alone.
  let cluster: Cluster?
  let onReady: @Sendable () -> Void
  let logger: Logger

  /// What has to be done for the whole store.
  struct Housekeeping: Sendable {
    let recovery: SessionRecovery
    let collection: GarbageCollection
  }

  /// What a node of a cluster attends to.
  struct Cluster: Sendable {
    let election: NodeElection
    /// Throws `MembershipError` if the election record is another cluster's.
    let checkRecord: @Sendable () async throws -> Void
    let publisher: EventPublisher
  }

  private static let beatInterval = Duration.seconds(1)
  private static let recoveryInterval = Duration.seconds(5)
  private static let shortestOpenInterval = Duration.milliseconds(100)

  func run() async throws {
    try await cancelWhenGracefulShutdown {
      do {
        try await withThrowingTaskGroup(of: Void.self) { group in
          group.addTask {
            try await start()
            try await keepHouse()
          }
          if let membership { group.addTask { try await membership.watchForTwin() } }
          // Neither ends by itself: the first to throw ends the node.
          try await group.next()
        }
      } catch is CancellationError {
        // The node stops.
      }
    }
  }

  private func start() async throws {
    while true {
      health.beat()
      do {
        try await membership?.check()
        try await cluster?.checkRecord()
        try await open()
        for pattern in shippedPatterns { _ = try await patterns.put(pattern) }
        try await patterns.load()
        if let housekeeping { try await housekeeping.recovery.run(try await store.sessions().filter { $0.key != session }) }
        health.stage = .running
        cluster?.election.setEligible(true)
        membership?.announce()
        cluster?.publisher.publish("joined", id: session.nodeID, on: .cluster)
        return onReady()
      } catch let error as MembershipError where error.code == .storeInUse {
        throw error
      } catch is CancellationError {
        throw CancellationError()
      } catch {
        // Reported once by the store's client; said by the readiness probe as long as it lasts.
        health.stage = .starting(reason: "\(error)")
        logger.debug("not started yet", metadata: ["error": "\(error)"])
      }
      try await Task.sleep(for: .milliseconds(250))
    }
  }

  private func keepHouse() async throws {
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { try await keepOpen() }
      group.addTask { try await beat() }
      if let doubts { group.addTask { await attend(to: doubts()) } }
      if let housekeeping { group.addTask { try await keepStore(housekeeping) } }
      try await group.waitForAll()
    }
  }

  private func attend(to doubts: AsyncStream<ContinuousClock.Instant>) async {
    for await connection in doubts {
      dispatcher.storeDoubted(since: connection)
      await attempt("looking at the patterns") { try await patterns.restore() }
    }
  }

  private func beat() async throws {
    while true {
      try await Task.sleep(for: Self.beatInterval)
      health.beat()
      if let cluster { cluster.election.setEligible(health.isFit || !hasFitOther) }
    }
  }

  private func keepStore(_ housekeeping: Housekeeping) async throws {
    var sinceCollection = Duration.zero
    while true {
      try await Task.sleep(for: Self.recoveryInterval)
      await attempt("recovery") { try await housekeeping.recovery.run(try await store.sessions().filter { $0.key != session }) }
      sinceCollection += Self.recoveryInterval
      guard sinceCollection >= GarbageCollection.interval else { continue }
      sinceCollection = .zero
      await attempt("garbage collection") { try await housekeeping.collection.run() }
    }
  }

  // MARK: The list of sessions

  /// Stays on the list of sessions that own something: a node that may have been taken off takes no work before it is on it again.
  private func keepOpen() async throws {
    while true {
      try await Task.sleep(for: openInterval)
      await attempt("keeping the session open") {
        guard try await open(), membership != nil else { return }
        logger.warning("the store had forgotten this node: its agents and patterns are written anew, its executions looked at")
        try await patterns.restore()
        dispatcher.storeForgot()
      }
    }
  }

  /// Quick enough that at least two attempts fall into the time after which a silent member is taken for lost.
  private var openInterval: Duration {
    max(Self.shortestOpenInterval, membership.map { $0.settings.detectionWindow / 4 } ?? Self.recoveryInterval)
  }

  @discardableResult
  private func open() async throws -> Bool {
    // The instant before the call: what others do to the list after that, the next call finds.
    let now = health.now
    let isNew = try await store.open(session)
    health.opened(at: now)
    return isNew
  }

  private var hasFitOther: Bool {
    membership?.lastView?.members.contains { $0.id != session.nodeID && $0.status == .healthy } ?? false
  }

  private func attempt(_ what: String, _ work: () async throws -> Void) async {
    do { try await work() } catch { logger.debug("\(what) failed; the next round tries again", metadata: ["error": "\(error)"]) }
  }
}
