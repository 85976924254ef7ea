import NIOCore
import ParallaxConcurrency
import Synchronization

/// A connection or another value that comes and goes, and the callers that wait for it until their deadlines.
///
/// ``ConnectionWaitList`` decides; this shell resumes the waiters, always outside its lock, and keeps one timer for all of them.
final class Awaited<Value: Sendable>: Sendable {
  private typealias Waiter = UnsafeContinuation<Result<Value, any Error>, Never>
  private typealias List = ConnectionWaitList<Value, Waiter>

  /// The value's name in error messages.
  let name: String
  private let eventLoop: any EventLoop
  private let isUsable: @Sendable (Value) -> Bool
  private let list = Mutex(List())
  private let lastID = Atomic<UInt64>(0)

  /// - Parameters:
  ///   - name: The value's name in error messages.
  ///   - eventLoop: The event loop of the timer.
  ///   - isUsable: Whether a provided value may still be handed out.
  init(name: String, eventLoop: any EventLoop, isUsable: @escaping @Sendable (Value) -> Bool = { _ in true }) {
    self.name = name
    self.eventLoop = eventLoop
    self.isUsable = isUsable
  }

  // MARK: Waiting

  /// The value, or `nil` while there is none.
  var current: Value? { list.withLock { $0.connection } }

  /// Waits for the value.
  ///
  /// - Parameter deadline: The end of the wait.
  /// - Returns: The value.
  /// - Throws: The reason that there is none in time, as a ``RedisError``, or `CancellationError`.
  nonisolated(nonsending) func value(before deadline: NIODeadline) async throws -> Value {
    let id = lastID.wrappingAdd(1, ordering: .relaxed).newValue
    return try await suspend { (waiter: Waiter) in
      self.request(id, waiter, deadline: deadline)
    } onCancel: {
      self.cancel(id)
    }.get()
  }

  private func request(_ id: UInt64, _ waiter: Waiter, deadline: NIODeadline) {
    let answer = list.withLock { list in
      // The value may have ended unnoticed; a caller that has seen its end must not receive it again.
      if let value = list.connection, !isUsable(value) {
        list.lost(RedisError(.connectionFailed, message: "The connection to \(name) was lost."), now: eventLoop.now)
      }
      return list.request(id, waiter, deadline: deadline)
    }
    switch answer {
    case .connection(let value): waiter.resume(returning: .success(value))
    case .fail(let error): waiter.resume(returning: .failure(error))
    case .wait(let timer): schedule(timer)
    }
  }

  private func cancel(_ id: UInt64) {
    list.withLock { $0.cancel(id) }?.resume(returning: .failure(CancellationError()))
  }

  private func schedule(_ timer: NIODeadline?) {
    guard let timer else { return }
    eventLoop.scheduleTask(deadline: timer) { self.expireWaiters() }
  }

  private func expireWaiters() {
    let (expired, timer, reason) = list.withLock { list in
      let (expired, timer) = list.expire(now: eventLoop.now)
      return (expired, timer, list.lastError)
    }
    let error = reason ?? RedisError(.connectionFailed, message: "No connection to \(name) was made in time.")
    for waiter in expired { waiter.resume(returning: .failure(error)) }
    schedule(timer)
  }

  // MARK: The value's life

  func started() {
    list.withLock { $0.started(now: eventLoop.now, name: name) }
  }

  func provide(_ value: Value) {
    for waiter in list.withLock({ $0.connected(value) }) { waiter.resume(returning: .success(value)) }
  }

  func attemptFailed(_ error: RedisError) {
    for waiter in list.withLock({ $0.attemptFailed(error, now: eventLoop.now) }) { waiter.resume(returning: .failure(error)) }
  }

  func lost(_ error: RedisError) {
    list.withLock { $0.lost(error, now: eventLoop.now) }
  }

  func shutDown(_ error: RedisError) {
    for waiter in list.withLock({ $0.shutDown(error, now: eventLoop.now) }) { waiter.resume(returning: .failure(error)) }
  }

  /// Whether the value is there; if not, how long it has been missing, and the reason.
  var availability: (isAvailable: Bool, missingFor: Duration?, reason: RedisError?) {
    let now = eventLoop.now
    return list.withLock { list in
      let isAvailable = list.connection.map(isUsable) ?? false
      return (isAvailable, list.disconnectedSince.map { Duration(now - $0) } ?? (isAvailable ? nil : .zero), list.lastError)
    }
  }
}
