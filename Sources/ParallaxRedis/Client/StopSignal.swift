import NIOCore
import Synchronization

/// Ends a task from elsewhere than its parent, for a reason.
final class StopSignal: Sendable {
  private let stopped: AsyncStream<Void>
  private let continuation: AsyncStream<Void>.Continuation
  private let state = Mutex<(RedisError, TimeAmount)?>(nil)

  init() {
    (stopped, continuation) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
  }

  /// Why, and how long what is in flight may still take; `nil` until stopped.
  var reason: (RedisError, TimeAmount)? { state.withLock { $0 } }

  func stop(_ reason: RedisError, grace: TimeAmount) {
    state.withLock { $0 = $0 ?? (reason, grace) }
    continuation.finish()
  }

  /// Runs the body, and cancels it when stopped.
  func run(_ body: @escaping @Sendable () async -> Void) async {
    await withTaskGroup { group in
      group.addTask { await body() }
      group.addTask { for await _ in self.stopped {} }
      await group.next()
      group.cancelAll()
    }
  }
}
