import Synchronization

/// A value that is set once and later, for any number of waiting tasks.
package final class Deferred<Value: Sendable>: Sendable {
  private typealias Waiter = UnsafeContinuation<Value?, Never>

  private struct State {
    var value: Value?
    /// Empty once the value is set.
    var waiters: [UInt64: Waiter] = [:]
    var lastID: UInt64 = 0
  }

  private let state = Mutex(State())

  /// Creates an instance without a value.
  package init() {}

  /// The value; nil until it is set.
  package var current: Value? { state.withLock { $0.value } }

  /// Sets the value and resumes all waiting tasks; only the first call has an effect.
  ///
  /// - Parameter value: The value.
  /// - Returns: Whether this call set the value.
  @discardableResult
  package func set(_ value: Value) -> Bool {
    let waiters: [UInt64: Waiter]? = state.withLock { state in
      guard state.value == nil else { return nil }
      state.value = value
      defer { state.waiters = [:] }
      return state.waiters
    }
    guard let waiters else { return false }
    for waiter in waiters.values { waiter.resume(returning: value) }
    return true
  }

  /// Waits for the value.
  ///
  /// - Returns: The value, which a cancelled task receives too once it is set.
  /// - Throws: `CancellationError` if the task is cancelled before the value is set.
  package func value() async throws(CancellationError) -> Value {
    let id = state.withLock { state in
      state.lastID += 1
      return state.lastID
    }
    let value = await suspend { (waiter: Waiter) in
      let present: Value? = state.withLock { state in
        if state.value == nil { state.waiters[id] = waiter }
        return state.value
      }
      if let present { waiter.resume(returning: present) }
    } onCancel: {
      state.withLock { $0.waiters.removeValue(forKey: id) }?.resume(returning: nil)
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
