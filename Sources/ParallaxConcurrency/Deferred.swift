import Synchronization

/// A value that comes later and is set once, for any number of tasks that wait for it.
package final class Deferred<Value: Sendable>: Sendable {
  private typealias Waiter = CheckedContinuation<Value?, Never>

  private enum State {
    case missing([UInt64: Waiter])  // → present
    case present(Value)
  }

  private enum Start {
    case over(Value?)
    case waiting
  }

  private struct Storage {
    var state = State.missing([:])
    var lastID: UInt64 = 0
  }

  private let storage = Mutex(Storage())

  /// Makes one whose value is missing.
  package init() {}

  /// The value, if it is there.
  package var current: Value? {
    storage.withLock { storage in
      if case .present(let value) = storage.state { value } else { nil }
    }
  }

  /// Sets the value and resumes all who wait for it; only the first call has an effect.
  ///
  /// - Parameter value: The value.
  /// - Returns: Whether this call set the value.
  @discardableResult
  package func set(_ value: Value) -> Bool {
    let waiters: [UInt64: Waiter]? = storage.withLock { storage in
      guard case .missing(let waiters) = storage.state else { return nil }
      storage.state = .present(value)
      return waiters
    }
    guard let waiters else { return false }
    for waiter in waiters.values { waiter.resume(returning: value) }
    return true
  }

  /// Waits for the value.
  ///
  /// - Returns: The value; also to a cancelled task, if the value is there.
  /// - Throws: `CancellationError` if the task is cancelled before the value is there.
  package func value() async throws(CancellationError) -> Value {
    let id = storage.withLock { storage in
      storage.lastID += 1
      return storage.lastID
    }
    let value = await withTaskCancellationHandler {
      await withCheckedContinuation { (continuation: Waiter) in
        let start: Start = storage.withLock { storage in
          switch storage.state {
          case .present(let value): return .over(value)
          // Under the lock: a cancellation that comes later finds the continuation.
          case .missing where Task.isCancelled: return .over(nil)
          case .missing(var waiters):
            waiters[id] = continuation
            storage.state = .missing(waiters)
            return .waiting
          }
        }
        if case .over(let value) = start { continuation.resume(returning: value) }
      }
    } onCancel: {
      let waiter: Waiter? = storage.withLock { storage in
        guard case .missing(var waiters) = storage.state else { return nil }
        defer { storage.state = .missing(waiters) }
        return waiters.removeValue(forKey: id)
      }
      waiter?.resume(returning: nil)
    }
    guard let value else { throw CancellationError() }
    return value
  }
}

extension Deferred where Value == Void {
  /// Sets the value; only the first call has an effect.
  package func set() {
    set(())
  }
}
