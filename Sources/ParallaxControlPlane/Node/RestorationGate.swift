import ParallaxAPI
import ParallaxHA
import ParallaxState

/// Holds requests with an idempotency key while the store may lack the key or its execution, which some node is about to restore.
///
/// A request that passed in that time could run a second time. A store that keeps what it has acknowledged needs no gate.
struct RestorationGate: Sendable {
  let store: any StateStore
  let session: NodeSession
  let dispatcher: Dispatcher
  let health: NodeHealth
  let clock: NodeClock
  /// Whether the store can lose acknowledged writes.
  let isStoreLossy: Bool

  /// Longer than one restoration takes.
  static let patience = RestorationMachine.window + .seconds(5)
  private static let pause = Duration.milliseconds(50)

  /// Waits until this node knows of no loss whose restoration may be unfinished.
  ///
  /// - Parameter limit: The instant at which the wait ends.
  /// - Throws: `APIError` at the limit, and when the node takes no work; `CancellationError`.
  func pass(by limit: Duration) async throws {
    while isStoreLossy, dispatcher.mayBeRestoring { try await wait(until: limit) }
  }

  /// Verifies that the store still had everything when it answered the last call of this task; waits a moment if not.
  ///
  /// The node may not have noticed the loss yet, but then its session is missing too.
  ///
  /// - Parameter limit: The instant at which the wait ends.
  /// - Returns: Whether the store had everything.
  /// - Throws: `APIError` as ``pass(by:)``; the store's error; `CancellationError`.
  func wasOpen(by limit: Duration) async throws -> Bool {
    guard isStoreLossy else { return true }
    if try await store.sessions()[session] != nil, !dispatcher.mayBeRestoring { return true }
    try await wait(until: limit)
    return false
  }

  private func wait(until limit: Duration) async throws {
    if let refusal = health.refusal { throw refusal }
    guard clock.now.instant < limit else {
      throw APIError(.notReady, "the store has lost data, and the nodes are restoring it; repeat the request with the same idempotencyKey")
    }
    try await clock.sleep(for: Self.pause)
  }
}
