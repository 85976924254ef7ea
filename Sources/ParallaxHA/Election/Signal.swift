import Synchronization

/// Wakes the one task that waits for it; a ring while nobody waits is kept for the next wait.
final class Signal: Sendable {
  private enum State {
    case idle
    case rung
    case waiting(CheckedContinuation<Void, Never>)
  }

  private let state = Mutex(State.idle)

  func ring() {
    let waiter: CheckedContinuation<Void, Never>? = state.withLock { state in
      if case .waiting(let continuation) = state {
        state = .idle
        return continuation
      }
      state = .rung
      return nil
    }
    waiter?.resume()
  }

  /// Waits until it rings, or the task is cancelled.
  func wait() async {
    await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        let isOver = state.withLock { state in
          switch state {
          case .rung:
            state = .idle
            return true
          case .idle where Task.isCancelled:
            return true
          case .idle:
            state = .waiting(continuation)
            return false
          case .waiting: preconditionFailure("two tasks wait for one signal")
          }
        }
        if isOver { continuation.resume() }
      }
    } onCancel: {
      let waiter: CheckedContinuation<Void, Never>? = state.withLock { state in
        guard case .waiting(let continuation) = state else { return nil }
        state = .idle
        return continuation
      }
      waiter?.resume()
    }
  }

  /// Forgets a ring that nobody has waited for.
  ///
  /// - Returns: Whether there was one.
  func silence() -> Bool {
    state.withLock { state in
      guard case .rung = state else { return false }
      state = .idle
      return true
    }
  }

  /// Waits until it rings, an instant is reached, or the task is cancelled.
  func wait<C: Clock>(until deadline: C.Instant, on clock: C) async {
    await withTaskGroup(of: Void.self) { group in
      group.addTask { try? await clock.sleep(until: deadline, tolerance: .zero) }
      group.addTask { await self.wait() }
      await group.next()
      group.cancelAll()
    }
  }
}
