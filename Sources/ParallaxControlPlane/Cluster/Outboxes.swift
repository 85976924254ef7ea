import DequeModule
import ParallaxAPI
import ParallaxHA
import ParallaxState

/// A node's undelivered messages to other node sessions: one ordered and bounded outbox for each.
///
/// A value without a clock. A message equal to the last queued one on the same subject is not queued again, so that periodic messages do
/// not pile up while an inbox is unreachable. A message without room is dropped: senders repeat tasks, watches and requests, and the
/// recipient of a report reads the store. So are tasks that a store refuses, because a full store takes the small messages behind them.
struct Outboxes: Sendable {
  /// The bounds of one outbox and of one batch.
  struct Limits: Sendable {
    var messages = 20_000
    /// Approximate, measured as JSON text.
    var bytes = 64 * 1_024 * 1_024
    var batch = 128
    var batchBytes = 4 * 1_024 * 1_024
    /// The largest number of lost sessions to remember.
    var lost = 1_000
    var firstPause: Duration = .milliseconds(20)
    var longestPause: Duration = .seconds(1)
  }

  /// The outcome of adding a message.
  enum Admission: Sendable, Hashable {
    /// The message is queued, and a task must begin to deliver to the session.
    case begins
    case queued
    /// An equal message on the same subject is queued already.
    case repeated
    /// The session is lost.
    case lost
    /// The outbox has no room; `isFirst` marks the first such message in a row.
    case full(isFirst: Bool)
  }

  /// The outcome of an attempt to send.
  enum Outcome: Sendable, Hashable {
    case delivered
    /// The inbox has no room.
    case refused
    /// The store refuses writes.
    case unwritable
    case failed
  }

  /// A change to log: the beginning or the end of an outage, not each attempt.
  enum Notice: Sendable, Hashable {
    case inboxFull
    case unreachable
    /// Delivery works again; `dropped` messages found no room meanwhile.
    case recovered(dropped: Int)
  }

  /// The subject of a message; a later message on a subject supersedes an earlier one.
  private enum Subject: Hashable {
    case task(String, agent: String)
    case ownership(String)
    case other(NodeMessage)

    init(_ message: NodeMessage) {
      switch message {
      case .deliver(let task, let agent, _, _): self = .task(task.taskId, agent: agent)
      case .withdraw(let cancellation, let agent): self = .task(cancellation.taskId, agent: agent)
      case .adopt(let execution, _), .adopted(let execution), .declined(let execution): self = .ownership(execution)
      case .recorded, .cancel, .watch, .ended, .disconnect: self = .other(message)
      }
    }
  }

  private struct Outbox {
    var messages: Deque<NodeMessage> = []
    var bytes = 0
    /// The number of the oldest queued message.
    var first: UInt64 = 0
    /// The number of messages, from the oldest on, in the batch that is being sent.
    var sending = 0
    /// The number of the last queued message about each subject.
    var last: [Subject: UInt64] = [:]
    var pause: Duration?
    var announced: Notice?
    var dropped = 0

    /// Queues a message if there is room; an empty outbox accepts a message of any size.
    mutating func admit(_ message: NodeMessage, _ limits: Limits) -> Admission {
      if repeats(message) { return .repeated }
      let size = message.approximateSize
      guard messages.isEmpty || messages.count < limits.messages && bytes + size <= limits.bytes else {
        dropped += 1
        return .full(isFirst: dropped == 1)
      }
      last[Subject(message)] = first + UInt64(messages.count)
      messages.append(message)
      bytes += size
      return .queued
    }

    /// Whether the last queued message on the same subject is equal and not being sent yet.
    private func repeats(_ message: NodeMessage) -> Bool {
      guard let number = last[Subject(message)], number >= first + UInt64(sending) else { return false }
      return messages[Int(number - first)] == message
    }

    /// Removes the tasks among the first messages.
    mutating func removeTasks(amongFirst count: Int, _ limits: Limits) {
      func isTask(_ message: NodeMessage) -> Bool { if case .deliver = message { true } else { false } }
      guard messages.prefix(count).contains(where: isTask) else { return }
      let kept = messages.prefix(count).filter { !isTask($0) } + messages.dropFirst(count)
      removeFirst(messages.count)
      for message in kept { _ = admit(message, limits) }
    }

    mutating func removeFirst(_ count: Int) {
      for _ in 0..<min(count, messages.count) {
        let message = messages.removeFirst()
        bytes -= message.approximateSize
        if last[Subject(message)] == first { last[Subject(message)] = nil }
        first += 1
      }
    }

    /// Removes all messages, also those of the batch that is being sent.
    mutating func removeAll() {
      removeFirst(messages.count)
      sending = 0
    }

    /// The notice that an outage has ended; nil while messages are queued or if there was no outage.
    mutating func takeRecovery() -> Notice? {
      guard messages.isEmpty, announced != nil || dropped > 0 else { return nil }
      defer {
        announced = nil
        dropped = 0
      }
      return .recovered(dropped: dropped)
    }
  }

  private let limits: Limits
  private var outboxes: [NodeSession: Outbox] = [:]
  /// Lost sessions, newest last.
  private var lost: Deque<NodeSession> = []

  /// Makes outboxes without messages.
  init(limits: Limits = Limits()) {
    self.limits = limits
  }

  /// The number of messages queued for a session.
  func count(for session: NodeSession) -> Int { outboxes[session]?.messages.count ?? 0 }

  /// Queues a message.
  mutating func add(_ message: NodeMessage, for session: NodeSession) -> Admission {
    guard !lost.contains(session) else { return .lost }
    let begins = outboxes[session] == nil
    let admission = outboxes[session, default: Outbox()].admit(message, limits)
    return begins ? .begins : admission
  }

  /// Drops the messages for a lost session, present and future.
  mutating func sessionLost(_ session: NodeSession) {
    outboxes[session]?.removeAll()
    guard !lost.contains(session) else { return }
    if lost.count == limits.lost { lost.removeFirst() }
    lost.append(session)
  }

  /// Accepts messages again for a session that was wrongly presumed lost.
  mutating func sessionReturned(_ session: NodeSession) {
    lost.removeAll { $0 == session }
  }

  /// The next messages for a session, which stay queued until ``ended(_:for:)``; nil, which ends the session's delivery task, if there are
  /// none.
  mutating func nextBatch(for session: NodeSession) -> [NodeMessage]? {
    guard let outbox = outboxes[session], !outbox.messages.isEmpty else {
      outboxes[session] = nil
      return nil
    }
    var bytes = 0
    let batch = outbox.messages.prefix(limits.batch).enumerated().prefix { index, message in
      bytes += message.approximateSize
      return index == 0 || bytes <= limits.batchBytes
    }.map(\.element)
    outboxes[session]?.sending = batch.count
    return batch
  }

  /// Processes the outcome of sending a batch.
  ///
  /// - Returns: The pause before the next batch, if any, and a notice to log.
  mutating func ended(_ outcome: Outcome, for session: NodeSession) -> (pause: Duration?, notice: Notice?) {
    guard let sent = outboxes[session]?.sending else { return (nil, nil) }
    outboxes[session]?.sending = 0
    let notice: Notice?
    switch outcome {
    case .delivered:
      outboxes[session]?.removeFirst(sent)
      outboxes[session]?.pause = nil
      return (nil, outboxes[session]?.takeRecovery())
    case .refused: notice = .inboxFull
    case .unwritable:
      outboxes[session]?.removeTasks(amongFirst: sent, limits)
      // The store's reason is logged where all its refusals are.
      notice = nil
    case .failed: notice = .unreachable
    }
    let pause = outboxes[session]?.pause.map { min($0 * 2, limits.longestPause) } ?? limits.firstPause
    outboxes[session]?.pause = pause
    guard let notice, outboxes[session]?.announced != notice else { return (pause, nil) }
    outboxes[session]?.announced = notice
    return (pause, notice)
  }
}

extension NodeMessage {
  /// The approximate size in bytes.
  fileprivate var approximateSize: Int {
    switch self {
    case .deliver(let task, _, _, _): 256 + task.input.approximateSize
    default: 128
    }
  }
}

extension JSONValue {
  /// The approximate size of the JSON text in bytes.
  fileprivate var approximateSize: Int {
    switch self {
    case .null, .bool, .integer, .number: 8
    case .string(let text): text.utf8.count + 2
    case .array(let elements): elements.reduce(2) { $0 + $1.approximateSize + 1 }
    case .object(let members): members.reduce(2) { $0 + $1.key.utf8.count + $1.value.approximateSize + 4 }
    }
  }
}
