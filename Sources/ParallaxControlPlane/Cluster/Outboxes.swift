import DequeModule
import ParallaxAPI
import ParallaxHA
import ParallaxState

/// What a node has to tell other node sessions: an outbox for each, in order and bounded.
///
/// A value without a clock. A message that repeats the last word on its subject while that word is still queued is not queued again, so
/// that what is said at intervals does not pile up while an inbox cannot be reached. What has no room is dropped: tasks, watches and
/// requests are repeated by whoever sent them, and reports are made up for by a read.
struct Outboxes: Sendable {
  /// The bounds of one outbox, and of what is sent at once.
  struct Limits: Sendable {
    var messages = 20_000
    /// Measured roughly, as text.
    var bytes = 64 * 1_024 * 1_024
    var batch = 128
    var batchBytes = 4 * 1_024 * 1_024
    /// How many lost sessions are remembered.
    var lost = 1_000
    var firstPause: Duration = .milliseconds(20)
    var longestPause: Duration = .seconds(1)
  }

  /// What became of a message.
  enum Admission: Sendable, Hashable {
    /// It is queued, and nobody sends to this session: somebody is to begin.
    case begins
    case queued
    /// The same is queued already.
    case repeated
    /// The session is lost.
    case lost
    /// The outbox has no room; `isFirst` in a row, for the log.
    case full(isFirst: Bool)
  }

  /// What an attempt to send came to.
  enum Outcome: Sendable, Hashable {
    case delivered
    /// The inbox has no room.
    case refused
    case failed
  }

  /// What is worth a line in the log: the beginning of a state and its end, not each attempt in it.
  enum Notice: Sendable, Hashable {
    case inboxFull
    case unreachable
    /// The messages go out again; `dropped` of them found no room meanwhile.
    case recovered(dropped: Int)
  }

  /// What a message is about: of two on one subject the later one counts.
  private enum Subject: Hashable {
    case task(String, agent: String)
    case ownership(String)
    case other(NodeMessage)

    init(_ message: NodeMessage) {
      switch message {
      case .deliver(let task, let agent, _): self = .task(task.taskId, agent: agent)
      case .withdraw(let cancellation, let agent): self = .task(cancellation.taskId, agent: agent)
      case .adopt(let execution, _), .adopted(let execution): self = .ownership(execution)
      case .recorded, .cancel, .watch, .ended, .disconnect: self = .other(message)
      }
    }
  }

  private struct Outbox {
    var messages: Deque<NodeMessage> = []
    var bytes = 0
    /// The number of the first message in the queue.
    var first: UInt64 = 0
    /// How many messages from the first on are being sent.
    var sending = 0
    /// The number of the last queued message about each subject.
    var last: [Subject: UInt64] = [:]
    var pause: Duration?
    var announced: Notice?
    var dropped = 0

    /// Queues a message if there is room; the only one that waits is taken whatever its size.
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

    /// Whether a message says what was said last on its subject and is not being sent yet.
    private func repeats(_ message: NodeMessage) -> Bool {
      guard let number = last[Subject(message)], number >= first + UInt64(sending) else { return false }
      return messages[Int(number - first)] == message
    }

    mutating func removeFirst(_ count: Int) {
      for _ in 0..<min(count, messages.count) {
        let message = messages.removeFirst()
        bytes -= message.approximateSize
        if last[Subject(message)] == first { last[Subject(message)] = nil }
        first += 1
      }
    }

    /// What is being sent is not awaited any more.
    mutating func removeAll() {
      removeFirst(messages.count)
      sending = 0
    }

    /// What there is to say once everything is delivered.
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
  /// Sessions that were lost, newest last.
  private var lost: Deque<NodeSession> = []

  /// Makes outboxes without messages.
  init(limits: Limits = Limits()) {
    self.limits = limits
  }

  /// How many messages wait for a session.
  func count(for session: NodeSession) -> Int { outboxes[session]?.messages.count ?? 0 }

  /// Queues a message.
  mutating func add(_ message: NodeMessage, for session: NodeSession) -> Admission {
    guard !lost.contains(session) else { return .lost }
    let begins = outboxes[session] == nil
    let admission = outboxes[session, default: Outbox()].admit(message, limits)
    return begins ? .begins : admission
  }

  /// Drops what waits for a session that is lost, and what will still be said to it.
  mutating func lose(_ session: NodeSession) {
    outboxes[session]?.removeAll()
    guard !lost.contains(session) else { return }
    if lost.count == limits.lost { lost.removeFirst() }
    lost.append(session)
  }

  /// Believes again in a session that was taken for lost.
  mutating func regain(_ session: NodeSession) {
    lost.removeAll { $0 == session }
  }

  /// The next messages for a session, which stay queued until ``ended(_:for:)``; nil if there are none: whoever sends to this session ends.
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

  /// An attempt to send a batch has ended.
  ///
  /// - Returns: How long to pause before the next batch, if at all, and what to say.
  mutating func ended(_ outcome: Outcome, for session: NodeSession) -> (pause: Duration?, notice: Notice?) {
    guard let sent = outboxes[session]?.sending else { return (nil, nil) }
    outboxes[session]?.sending = 0
    let notice: Notice
    switch outcome {
    case .delivered:
      outboxes[session]?.removeFirst(sent)
      outboxes[session]?.pause = nil
      return (nil, outboxes[session]?.takeRecovery())
    case .refused: notice = .inboxFull
    case .failed: notice = .unreachable
    }
    let pause = outboxes[session]?.pause.map { min($0 * 2, limits.longestPause) } ?? limits.firstPause
    outboxes[session]?.pause = pause
    guard outboxes[session]?.announced != notice else { return (pause, nil) }
    outboxes[session]?.announced = notice
    return (pause, notice)
  }
}

extension NodeMessage {
  /// About how many bytes it takes.
  fileprivate var approximateSize: Int {
    switch self {
    case .deliver(let task, _, _): 256 + task.input.approximateSize
    default: 128
    }
  }
}

extension JSONValue {
  /// About how many bytes its text takes.
  fileprivate var approximateSize: Int {
    switch self {
    case .null, .bool, .integer, .number: 8
    case .string(let text): text.utf8.count + 2
    case .array(let elements): elements.reduce(2) { $0 + $1.approximateSize + 1 }
    case .object(let members): members.reduce(2) { $0 + $1.key.utf8.count + $1.value.approximateSize + 4 }
    }
  }
}
