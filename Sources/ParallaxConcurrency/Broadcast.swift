import Synchronization

/// Sends elements to any number of subscribers, each with a bounded buffer of its own.
///
/// A sender never waits for a subscriber. Every subscriber receives the elements in the order of the calls of ``send(_:)``, from its
/// subscription on. Elements beyond its buffer are dropped by the rule of its ``Overflow``, which can leave a mark in their place.
package final class Broadcast<Element: Sendable>: Sendable {
  /// The rule for an element that arrives at a full buffer.
  package enum Overflow: Sendable {
    /// The oldest element is dropped and the new one kept; a buffer of one keeps the newest.
    case dropOldest
    /// The new element is dropped.
    case dropNewest
    /// The new element is dropped, and one mark at the end of the buffer replaces all elements dropped in a row.
    case mark(Element)
  }

  private struct State {
    var subscribers: [UInt64: Subscriber] = [:]
    var lastID: UInt64 = 0
    var isFinished = false
  }

  private let state = Mutex(State())

  /// Creates a broadcast without subscribers.
  package init() {}

  /// The number of subscriptions.
  package var subscriberCount: Int { state.withLock { $0.subscribers.count } }

  /// Sends an element to all subscribers; never blocks.
  ///
  /// Must not be called under a lock that a cancellation handler of a subscriber's task takes.
  ///
  /// - Parameter element: The element.
  package func send(_ element: Element) {
    send(CollectionOfOne(element))
  }

  /// Sends elements to all subscribers, with no other element between them; never blocks.
  ///
  /// - Parameter elements: The elements, in order.
  package func send(_ elements: some Collection<Element>) {
    // The buffers are filled under the lock, to keep the order; the subscribers are resumed outside.
    let woken = state.withLock { state in
      state.subscribers.values.compactMap { $0.append(elements) }
    }
    for wakeUp in woken { wakeUp.signal() }
  }

  /// Ends all subscriptions after their buffered elements, and all later ones at once.
  package func finish() {
    let woken = state.withLock { state in
      state.isFinished = true
      defer { state.subscribers = [:] }
      return state.subscribers.values.map { $0.finish() }
    }
    for wakeUp in woken { wakeUp.signal() }
  }

  /// Subscribes to the elements that are sent from now on.
  ///
  /// The subscription ends when its last reference is released.
  ///
  /// - Parameters:
  ///   - size: The number of elements that are kept for a slow consumer, without the mark; at least one.
  ///   - overflow: The rule for further elements; `dropOldest` by default.
  ///   - first: An element before all others; nil, the default, for none.
  /// - Returns: The elements, for one consumer.
  package func subscribe(buffering size: Int, overflow: Overflow = .dropOldest, startingWith first: Element? = nil) -> Subscription {
    precondition(size > 0, "a subscription without a buffer would receive nothing")
    let subscriber = Subscriber(size: size, overflow: overflow, first: first)
    let id: UInt64? = state.withLock { state in
      guard !state.isFinished else { return nil }
      state.lastID += 1
      state.subscribers[state.lastID] = subscriber
      return state.lastID
    }
    guard let id else {
      _ = subscriber.finish()
      return Subscription(subscriber) {}
    }
    return Subscription(subscriber) { [weak self] in self?.remove(id) }
  }

  private func remove(_ id: UInt64) {
    // The returned subscriber is released outside the lock.
    _ = state.withLock { $0.subscribers.removeValue(forKey: id) }
  }
}

// MARK: Subscriptions

extension Broadcast {
  /// The elements for one consumer.
  ///
  /// The sequence ends when the broadcast is finished or the consumer's task is cancelled; buffered elements then stay for a later `next()`
  /// of another task.
  package final class Subscription: AsyncSequence, Sendable {
    private let subscriber: Subscriber
    private let end: @Sendable () -> Void

    fileprivate init(_ subscriber: Subscriber, end: @escaping @Sendable () -> Void) {
      self.subscriber = subscriber
      self.end = end
    }

    deinit { end() }

    /// The number of elements dropped since the last call.
    package func takeDropped() -> Int {
      subscriber.takeDropped()
    }

    /// Takes the next element, one task at a time.
    ///
    /// - Returns: The element; `nil` if the broadcast is finished or the task is cancelled.
    package func next() async -> Element? {
      await subscriber.next()
    }

    /// The same elements as an `AsyncStream`, for one consumer, instead of this sequence.
    package func stream() -> AsyncStream<Element> {
      AsyncStream { await self.next() }
    }

    /// The iterator of a subscription.
    package struct Iterator: AsyncIteratorProtocol {
      fileprivate let subscription: Subscription

      /// Takes the next element; `nil` if the broadcast is finished or the task is cancelled.
      package func next() async -> Element? {
        await subscription.next()
      }
    }

    /// Creates the iterator of the one consumer.
    package func makeAsyncIterator() -> Iterator {
      Iterator(subscription: self)
    }
  }

  /// The buffer between the senders and one consumer.
  fileprivate final class Subscriber: Sendable {
    private struct State {
      /// The elements from `start` on; earlier ones have been taken.
      var elements: [Element?] = []
      var start = 0
      var isMarked = false
      var dropped = 0
      var isFinished = false

      var count: Int { elements.count - start }

      mutating func takeFirst() -> Element? {
        guard start < elements.count, let element = elements[start] else { return nil }
        elements[start] = nil
        start += 1
        if start == elements.count { isMarked = false }
        // The removal is rare, so that taking an element costs the same at every size.
        if start > 32, start * 2 > elements.count {
          elements.removeFirst(start)
          start = 0
        }
        return element
      }
    }

    private enum Step {
      case element(Element)
      case end
      case wait
    }

    private let size: Int
    private let overflow: Overflow
    private let state: Mutex<State>
    private let wakeUp = WakeUp()

    init(size: Int, overflow: Overflow, first: Element?) {
      self.size = size
      self.overflow = overflow
      state = Mutex(State(elements: first.map { [$0] } ?? []))
    }

    /// Adds elements to the buffer.
    ///
    /// - Returns: The wake-up to signal outside all locks.
    func append(_ elements: some Collection<Element>) -> WakeUp? {
      state.withLock { state in
        for element in elements { append(element, to: &state) }
        return elements.isEmpty ? nil : wakeUp
      }
    }

    private func append(_ element: Element, to state: inout State) {
      if state.count < size {
        state.isMarked = false
        state.elements.append(element)
        return
      }
      state.dropped += 1
      switch overflow {
      case .dropNewest: break
      case .dropOldest:
        _ = state.takeFirst()
        state.elements.append(element)
      case .mark(let mark):
        if !state.isMarked { state.elements.append(mark) }
        state.isMarked = true
      }
    }

    func finish() -> WakeUp {
      state.withLock { $0.isFinished = true }
      return wakeUp
    }

    func takeDropped() -> Int {
      state.withLock { state in
        defer { state.dropped = 0 }
        return state.dropped
      }
    }

    func next() async -> Element? {
      while true {
        if Task.isCancelled { return nil }
        let step: Step = state.withLock { state in
          if let element = state.takeFirst() { return .element(element) }
          return state.isFinished ? .end : .wait
        }
        switch step {
        case .element(let element): return element
        case .end: return nil
        case .wait: do { try await wakeUp.wait() } catch { return nil }
        }
      }
    }
  }
}
