import DequeModule
import ParallaxConcurrency
public import ParallaxHA
import Synchronization

/// Inboxes in the memory of this process, for tests and simulations, whose nodes share one process.
public final class InMemoryInboxStore: InboxStore {
  private struct Entry {
    var position: Int64
    var message: NodeMessage
  }

  private struct State: ~Copyable {
    var inboxes: [NodeSession: Deque<Entry>] = [:]
    var receivers: [NodeSession: WakeUp] = [:]
    var lastPosition: Int64 = 0
  }

  private let capacity: Int
  private let state = Mutex(State())

  /// Makes a store without inboxes.
  ///
  /// - Parameter capacity: The largest number of messages in one inbox; 100,000 by default.
  public init(capacity: Int = 100_000) {
    self.capacity = capacity
  }

  /// Appends messages to an inbox; see ``InboxStore/send(_:to:)``.
  public func send(_ messages: [NodeMessage], to session: NodeSession) -> Bool {
    guard !messages.isEmpty else { return true }
    let (isSent, receiver): (Bool, WakeUp?) = state.withLock { state in
      guard state.inboxes[session, default: []].count + messages.count <= capacity else { return (false, nil) }
      for message in messages {
        state.lastPosition += 1
        state.inboxes[session, default: []].append(Entry(position: state.lastPosition, message: message))
      }
      return (true, state.receivers[session])
    }
    receiver?.signal()
    return isSent
  }

  /// Passes the messages of an inbox to a handler; see ``InboxStore/receive(at:limit:_:)``.
  public func receive(
    at session: NodeSession, limit: Int, _ handle: @Sendable ([ReceivedNodeMessage]) async throws -> Void
  ) async throws {
    let wakeUp = WakeUp()
    state.withLock { $0.receivers[session] = wakeUp }
    defer { state.withLock { if $0.receivers[session] === wakeUp { $0.receivers[session] = nil } } }
    wakeUp.signal()
    for await _ in wakeUp {
      while let (last, messages) = next(at: session, limit: limit) {
        try await handle(messages)
        remove(through: last, at: session)
        try Task.checkCancellation()
      }
    }
    throw CancellationError()
  }

  /// Removes an inbox with its messages.
  public func removeInbox(of session: NodeSession) {
    state.withLock { $0.inboxes[session] = nil }
  }

  private func next(at session: NodeSession, limit: Int) -> (last: Int64, messages: [ReceivedNodeMessage])? {
    state.withLock { state in
      guard let entries = state.inboxes[session]?.prefix(limit), let last = entries.last else { return nil }
      return (last.position, entries.map { ReceivedNodeMessage(position: "\($0.position)", message: $0.message) })
    }
  }

  private func remove(through position: Int64, at session: NodeSession) {
    state.withLock { state in
      while let first = state.inboxes[session]?.first, first.position <= position { state.inboxes[session]?.removeFirst() }
      if state.inboxes[session]?.isEmpty == true { state.inboxes[session] = nil }
    }
  }
}
