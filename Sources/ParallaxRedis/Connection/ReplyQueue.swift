import DequeModule
import NIOCore

/// The waiters for the replies of one connection, in the order of the commands, each with its time of submission.
///
/// A pure value: it decides, the channel handler acts. A waiter may stand for several consecutive replies, those of a pipeline. A waiter
/// that gave up, by time-out or cancellation, leaves an abandoned entry, so that its replies are still counted.
///
/// Every command is one entry, which is moved and never copied: copies would cost more than the decisions.
struct ReplyQueue<Waiter>: ~Copyable {
  struct Entry: ~Copyable {
    let id: UInt64
    /// `nil` after the waiter has given up.
    var waiter: Waiter?
    let replies: Int
    var missingReplies: Int
    let submitted: NIODeadline
    let deadline: NIODeadline
    let bytes: Int

    init(id: UInt64, waiter: Waiter, replies: Int, submitted: NIODeadline, deadline: NIODeadline, bytes: Int) {
      self.id = id
      self.waiter = waiter
      self.replies = replies
      missingReplies = replies
      self.submitted = submitted
      self.deadline = deadline
      self.bytes = bytes
    }

    /// The number of replies that have arrived.
    fileprivate var received: Int { replies - missingReplies }
  }

  /// A waiter that gets no reply, or not all of its replies.
  struct Unanswered {
    let waiter: Waiter
    /// Whether the server may have executed the unanswered commands.
    let isWritten: Bool
    /// The number of replies that had arrived.
    let received: Int
  }

  /// The use of a reply.
  enum Delivery: ~Copyable {
    /// The reply completes the waiter.
    case deliver(Waiter, submitted: NIODeadline)
    /// The reply belongs to ``ReplyQueue/firstWaiter``, which needs more replies.
    case collect(submitted: NIODeadline)
    case drop
    /// No command awaits the reply: the peer violates the protocol.
    case unsolicited
  }

  /// The result of a check of the deadlines.
  struct Expiry {
    /// The waiters past their deadlines.
    var timedOut: [Unanswered] = []
    /// Whether replies are due but no complete one has arrived for so long that the connection must be closed.
    var isStalled = false
    /// Whether nothing is in flight and the peer has been silent for the keep-alive interval.
    var needsProbe = false
    /// The time of the next check.
    var next = NIODeadline.distantFuture
  }

  private var entries = UniqueDeque<Entry>()
  /// The number of entries at the end that are not written to the channel.
  private(set) var unwritten = 0
  private(set) var bytesInFlight = 0
  private(set) var repliesInFlight = 0
  private var lastArrival: NIODeadline
  /// The time of the last complete reply.
  private var lastReply: NIODeadline
  private let stallTimeout: TimeAmount
  private let keepAliveInterval: TimeAmount

  init(stallTimeout: TimeAmount, keepAliveInterval: TimeAmount, now: NIODeadline) {
    self.stallTimeout = stallTimeout
    self.keepAliveInterval = keepAliveInterval
    lastArrival = now
    lastReply = now
  }

  var isEmpty: Bool { entries.isEmpty }

  /// The waiter for the next reply; `nil` also if that waiter has given up.
  var firstWaiter: Waiter? { entries.isEmpty ? nil : entries[0].waiter }

  // MARK: Commands

  mutating func append(_ entry: consuming Entry) {
    unwritten += 1
    bytesInFlight += entry.bytes
    repliesInFlight += entry.missingReplies
    entries.append(entry)
  }

  /// All entries have been written to the channel: from now on their commands may have been executed.
  mutating func markWritten() {
    unwritten = 0
  }

  // MARK: Replies

  mutating func arrived(now: NIODeadline) {
    lastArrival = now
  }

  mutating func takeReply() -> Delivery {
    lastReply = lastArrival
    if entries.isEmpty { return .unsolicited }
    repliesInFlight -= 1
    if entries[0].missingReplies > 1 {
      entries[0].missingReplies -= 1
      return entries[0].waiter == nil ? .drop : .collect(submitted: entries[0].submitted)
    }
    let entry = entries.removeFirst()
    unwritten = min(unwritten, entries.count)
    bytesInFlight -= entry.bytes
    let submitted = entry.submitted
    guard let waiter = entry.waiter else { return .drop }
    return .deliver(waiter, submitted: submitted)
  }

  // MARK: Giving up

  /// Removes the waiter with this id; `nil` if it has received its reply or has given up.
  mutating func cancel(_ id: UInt64) -> Unanswered? {
    // From the end, because most cancellations concern recent commands.
    for index in entries.indices.reversed() where entries[index].id == id { return giveUp(index) }
    return nil
  }

  /// Removes the waiter of an entry; the entry stays.
  private mutating func giveUp(_ index: Int) -> Unanswered? {
    let received = entries[index].received
    let isWritten = received > 0 || index < entries.count - unwritten
    return entries[index].waiter.take().map { Unanswered(waiter: $0, isWritten: isWritten, received: received) }
  }

  mutating func expire(now: NIODeadline) -> Expiry {
    if entries.isEmpty {
      let probe = lastArrival + keepAliveInterval
      return now >= probe ? Expiry(needsProbe: true, next: now + min(stallTimeout, keepAliveInterval)) : Expiry(next: probe)
    }
    let (submitted, deadline) = (entries[0].submitted, entries[0].deadline)
    let silenceLimit = max(stallTimeout, deadline - submitted)
    // A reply without an end blocks all others, as silence does.
    let stall = min(max(lastArrival, submitted) + silenceLimit, max(lastReply, submitted) + silenceLimit + stallTimeout)
    var expiry = Expiry(isStalled: now >= stall)
    // The queue may soon be empty, and then the connection must be probed in time.
    expiry.next = min(now >= stall ? now + stallTimeout : stall, now + keepAliveInterval)
    for index in entries.indices where entries[index].waiter != nil {
      if entries[index].deadline > now {
        expiry.next = min(expiry.next, entries[index].deadline)
      } else if let late = giveUp(index) {
        expiry.timedOut.append(late)
      }
    }
    return expiry
  }

  /// The connection has ended; returns all waiters.
  mutating func close() -> [Unanswered] {
    var waiting: [Unanswered] = []
    for index in entries.indices {
      if let next = giveUp(index) { waiting.append(next) }
    }
    entries = UniqueDeque()
    unwritten = 0
    bytesInFlight = 0
    repliesInFlight = 0
    return waiting
  }
}
