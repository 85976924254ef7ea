import DequeModule
import NIOCore
import ParallaxConcurrency
import Synchronization

/// The buffer between the event loop and the consumer of one subscription.
///
/// The event loop never waits for a consumer: while the buffer is full, further messages are dropped and replaced by one gap.
final class SubscriptionBuffer: Sendable {
  private typealias Waiter = UnsafeContinuation<RedisSubscriptionEvent?, Never>

  private struct State {
    var events = Deque<RedisSubscriptionEvent>()
    var bytes = 0
    var waiter: Waiter?
    var isFinished = false
  }

  private let state = Mutex(State())
  private static let maximumBytes = 64 << 20

  private let capacity: Int

  init(capacity: Int) {
    self.capacity = capacity
  }

  func push(_ event: RedisSubscriptionEvent) {
    let waiter = state.withLock { state -> Waiter? in
      if state.isFinished { return nil }
      if let waiter = state.waiter {
        state.waiter = nil
        return waiter
      }
      if state.events.count < capacity, state.bytes + event.bytes <= Self.maximumBytes || state.events.isEmpty {
        state.events.append(event)
        state.bytes += event.bytes
      } else if state.events.last != .gap {
        state.events.append(.gap)
      }
      return nil
    }
    waiter?.resume(returning: event)
  }

  func finish() {
    let waiter = state.withLock { state -> Waiter? in
      state.isFinished = true
      defer { state.waiter = nil }
      return state.waiter
    }
    waiter?.resume(returning: nil)
  }

  /// The next event; `nil` when the subscription has ended or the task is cancelled.
  nonisolated(nonsending) func next() async -> RedisSubscriptionEvent? {
    await suspend { (waiter: Waiter) in
      self.wait(waiter)
    } onCancel: {
      self.abandon()
    }
  }

  private func wait(_ continuation: Waiter) {
    enum Answer {
      case event(RedisSubscriptionEvent?)
      case wait
    }
    let answer = state.withLock { state -> Answer in
      if let event = state.events.popFirst() {
        state.bytes -= event.bytes
        return .event(event)
      }
      if state.isFinished || Task.isCancelled { return .event(nil) }
      precondition(state.waiter == nil, "a subscription has one consumer: two tasks await next()")
      state.waiter = continuation
      return .wait
    }
    if case .event(let event) = answer { continuation.resume(returning: event) }
  }

  private func abandon() {
    let waiter = state.withLock { state -> Waiter? in
      defer { state.waiter = nil }
      return state.waiter
    }
    waiter?.resume(returning: nil)
  }
}

extension RedisSubscriptionEvent {
  fileprivate var bytes: Int {
    if case .message(_, let payload) = self { payload.readableBytes } else { 0 }
  }
}
