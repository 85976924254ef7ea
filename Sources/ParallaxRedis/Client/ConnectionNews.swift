import Synchronization

/// Tells all who listen that there is a new shared connection.
final class ConnectionNews: Sendable {
  private struct State {
    var listeners: [Int: AsyncStream<ContinuousClock.Instant>.Continuation] = [:]
    var next = 0
    var isOver = false
  }

  private let state = Mutex(State())

  /// What comes while the last is not yet taken is told as one, with the instant of the first.
  func listen() -> AsyncStream<ContinuousClock.Instant> {
    let (stream, continuation) = AsyncStream.makeStream(of: ContinuousClock.Instant.self, bufferingPolicy: .bufferingOldest(1))
    let id: Int? = state.withLock { state in
      if state.isOver { return nil }
      defer { state.next += 1 }
      state.listeners[state.next] = continuation
      return state.next
    }
    guard let id else {
      continuation.finish()
      return stream
    }
    continuation.onTermination = { [weak self] _ in _ = self?.state.withLock { $0.listeners.removeValue(forKey: id) } }
    return stream
  }

  func tell() {
    let now = ContinuousClock.now
    for listener in state.withLock({ Array($0.listeners.values) }) { listener.yield(now) }
  }

  func end() {
    let listeners = state.withLock { state in
      state.isOver = true
      return Array(state.listeners.values)
    }
    // Not under the lock, which their termination takes.
    for listener in listeners { listener.finish() }
  }
}
