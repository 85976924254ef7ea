import Synchronization

/// A value that will be there once, for any number of tasks to wait for.
final class Eventual<Value: Sendable>: Sendable {
  private enum State {
    case awaited([UInt64: CheckedContinuation<Value, any Error>])
    case known(Value)
  }

  private let state = Mutex((State.awaited([:]), nextID: UInt64(0)))

  /// Sets the value; only the first call counts.
  func set(_ value: Value) {
    let waiting = state.withLock { state in
      guard case .awaited(let waiting) = state.0 else { return [CheckedContinuation<Value, any Error>]() }
      state.0 = .known(value)
      return Array(waiting.values)
    }
    for continuation in waiting { continuation.resume(returning: value) }
  }

  /// The value, if it is there.
  var known: Value? {
    state.withLock { state in
      if case .known(let value) = state.0 { value } else { nil }
    }
  }

  /// The value, when it is there; throws `CancellationError` if the task is cancelled first.
  var value: Value {
    get async throws {
      let id = state.withLock { state in
        state.nextID += 1
        return state.nextID
      }
      return try await withTaskCancellationHandler {
        try await withCheckedThrowingContinuation { continuation in
          let known: Result<Value, any Error>? = state.withLock { state in
            switch state.0 {
            case .known(let value): return .success(value)
            case .awaited where Task.isCancelled: return .failure(CancellationError())
            case .awaited(var waiting):
              waiting[id] = continuation
              state.0 = .awaited(waiting)
              return nil
            }
          }
          if let known { continuation.resume(with: known) }
        }
      } onCancel: {
        let continuation: CheckedContinuation<Value, any Error>? = state.withLock { state in
          guard case .awaited(var waiting) = state.0 else { return nil }
          defer { state.0 = .awaited(waiting) }
          return waiting.removeValue(forKey: id)
        }
        continuation?.resume(throwing: CancellationError())
      }
    }
  }
}
