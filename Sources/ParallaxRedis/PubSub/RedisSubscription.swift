/// The messages of some channels, and the gaps between them, for one consumer.
///
/// The sequence ends with `nil` when the client ends or the consuming task is cancelled; it never throws, since a lost connection is
/// replaced. A consumer that falls behind by more than `subscriptionBufferSize` messages or 64 MiB loses the newer messages and receives a
/// ``RedisSubscriptionEvent/gap`` in their place.
///
/// One task at a time may await the next event; a second concurrent one is a programming error and ends the process.
public struct RedisSubscription: AsyncSequence, Sendable {
  /// The elements of the sequence.
  public typealias Element = RedisSubscriptionEvent

  /// Ends the subscription when its last reference is released.
  fileprivate final class Registration: Sendable {
    let buffer: SubscriptionBuffer
    let end: @Sendable () -> Void

    init(buffer: SubscriptionBuffer, end: @escaping @Sendable () -> Void) {
      self.buffer = buffer
      self.end = end
    }

    deinit { end() }
  }

  /// The iterator of a subscription.
  public struct AsyncIterator: AsyncIteratorProtocol {
    private let registration: Registration

    fileprivate init(registration: Registration) {
      self.registration = registration
    }

    /// Waits for the next event.
    ///
    /// - Returns: The event, or `nil` when the subscription has ended or the task is cancelled.
    public mutating func next() async -> RedisSubscriptionEvent? {
      await registration.buffer.next()
    }

    /// Waits for the next event without leaving the caller's actor.
    ///
    /// - Parameter actor: The caller's actor.
    /// - Returns: The event, or `nil` when the subscription has ended or the task is cancelled.
    public mutating func next(isolation actor: isolated (any Actor)?) async -> RedisSubscriptionEvent? {
      await registration.buffer.next()
    }
  }

  fileprivate let registration: Registration

  init(buffer: SubscriptionBuffer, end: @escaping @Sendable () -> Void) {
    registration = Registration(buffer: buffer, end: end)
  }

  /// Creates an iterator; all iterators of a subscription share its events.
  public func makeAsyncIterator() -> AsyncIterator {
    AsyncIterator(registration: registration)
  }
}
