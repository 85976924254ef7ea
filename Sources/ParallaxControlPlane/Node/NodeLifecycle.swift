import Logging
import ParallaxAPI
import ParallaxHA
import ParallaxState
import ServiceLifecycle

/// A node's life beside its requests: it starts by taking over what its former lives left, then keeps house until it stops.
struct NodeLifecycle: Service {
  let session: NodeSession
  let store: any StateStore
  /// Nil if nobody else can have the store.
  let soleNode: SoleNode?
  let recovery: SessionRecovery
  let patterns: PatternCatalog
  /// The patterns of `patterns.directory`.
  let shippedPatterns: [PatternDefinition]
  let executions: NodeConfiguration.Executions
  let health: NodeHealth
  let clock: NodeClock
  let onReady: @Sendable () -> Void
  let logger: Logger

  private static let beatInterval = Duration.seconds(1)
  private static let housekeepingInterval = Duration.seconds(60)
  /// How many executions one round of garbage collection removes at most, so that it does not starve live traffic.
  private static let collectionLimit = 5_000

  func run() async throws {
    try await cancelWhenGracefulShutdown {
      do {
        try await withThrowingTaskGroup(of: Void.self) { group in
          group.addTask {
            try await start()
            try await keepHouse()
          }
          if let soleNode { group.addTask { try await soleNode.watchForTwin() } }
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
        try await soleNode?.check()
        try await store.open(session)
        for pattern in shippedPatterns { _ = try await patterns.put(pattern) }
        try await patterns.load()
        for former in try await store.sessions() where former != session { try await recovery.recover(former) }
        health.stage = .running
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
    var sinceCollection = Duration.zero
    while true {
      try await Task.sleep(for: Self.beatInterval)
      health.beat()
      sinceCollection += Self.beatInterval
      if sinceCollection >= Self.housekeepingInterval {
        sinceCollection = .zero
        await collectGarbage()
      }
    }
  }

  private func collectGarbage() async {
    do {
      let oldest = Timestamp(milliseconds: clock.now.wall.milliseconds - executions.retention.wholeMilliseconds)
      let removed = try await store.removeExecutions(
        createdBefore: oldest, maxRetained: executions.maxRetained, limit: Self.collectionLimit)
      if removed > 0 { logger.info("removed old executions", metadata: ["count": "\(removed)"]) }
    } catch {
      logger.debug("garbage collection failed; the next round tries again", metadata: ["error": "\(error)"])
    }
  }
}
