import Logging
import ParallaxAPI
import ParallaxHA
import ParallaxState
import ServiceLifecycle

/// A node's life beside its requests: it starts when the store is there and its own, then keeps house until it stops.
struct NodeLifecycle: Service {
  let session: NodeSession
  let store: any StateStore
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
        try await store.open(session)
        for pattern in shippedPatterns { _ = try await patterns.put(pattern) }
        try await patterns.load()
        if let housekeeping { try await housekeeping.recovery.run(try await store.sessions().filter { $0 != session }) }
        health.stage = .running
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
    var sinceRecovery = Duration.zero
    var sinceCollection = Duration.zero
    while true {
      try await Task.sleep(for: Self.beatInterval)
      health.beat()
      if let cluster { cluster.election.setEligible(health.isFit || !hasFitOther) }
      sinceRecovery += Self.beatInterval
      sinceCollection += Self.beatInterval
      if sinceRecovery >= Self.recoveryInterval {
        sinceRecovery = .zero
        await attempt("keeping the session open") { try await keepOpen() }
      }
      if let housekeeping, sinceCollection >= GarbageCollection.interval {
        sinceCollection = .zero
        await attempt("garbage collection") { try await housekeeping.collection.run() }
      }
    }
  }

  /// Stays on the list of sessions that own something; and finds out whether it was taken off, or the store has lost its data.
  private func keepOpen() async throws {
    if try await store.open(session), membership != nil {
      logger.warning("the store had forgotten this node; what it keeps of agents and patterns is written anew")
      try await patterns.restore()
      dispatcher.registerAgentsAnew()
    }
    if let housekeeping { try await housekeeping.recovery.run(try await store.sessions().filter { $0 != session }) }
  }

  private var hasFitOther: Bool {
    membership?.lastView?.members.contains { $0.id != session.nodeID && $0.status == .healthy } ?? false
  }

  private func attempt(_ what: String, _ work: () async throws -> Void) async {
    do { try await work() } catch { logger.debug("\(what) failed; the next round tries again", metadata: ["error": "\(error)"]) }
  }
}
