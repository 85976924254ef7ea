import DequeModule
import NIOCore

/// Who waits for which reply of one connection, in the order of the commands, and since when.
///
/// A pure value: it decides, the channel handler acts. A waiter may stand for several replies in a row, those of a pipeline. One that
/// gave up, by time-out or cancellation, leaves an abandoned entry behind, so that its replies are still counted off when they come.
struct ReplyQueue<Waiter> {
  struct Entry {
    let id: UInt64
    /// `nil` once the waiter has given up.
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

    /// The waiter, once, which gets nothing more.
    fileprivate mutating func giveUp(isWritten: Bool) -> Disappointed? {
      waiter.take().map { Disappointed(waiter: $0, isWritten: isWritten, received: replies - missingReplies) }
    }
  }

  /// Somebody who gets no reply, or not all.
  struct Disappointed {
    let waiter: Waiter
    /// Whether the server may have executed what it has not answered.
    let isWritten: Bool
    /// How many of the replies had come.
    let received: Int
  }

  /// What to do with a reply.
  enum Delivery {
    case deliver(Waiter, isLast: Bool, submitted: NIODeadline)
    case drop
    /// Nobody asked for it: the peer does not speak the protocol.
    case unsolicited
  }

  /// What a look at the clock brings.
  struct Expiry {
    /// Those whose time is up.
    var timedOut: [Disappointed] = []
    /// Whether replies are due but nothing, or none as a whole, has arrived for so long that the connection must be given up.
    var isStalled = false
    /// Whether nothing is in flight and the peer has been silent for the keep-alive interval.
    var needsProbe = false
    /// When to look again.
    var next = NIODeadline.distantFuture
  }

  /// The pipeline that has had some of its replies: it is kept by itself, as a deque copies what is changed in place.
  private var head: Entry?
  private var entries = Deque<Entry>()
  /// How many entries at the end are not written to the channel yet.
  private(set) var unwritten = 0
  private(set) var bytesInFlight = 0
  private(set) var repliesInFlight = 0
  private var lastArrival: NIODeadline
  /// When the last reply was complete.
  private var lastReply: NIODeadline
  private let stallTimeout: TimeAmount
  private let keepAliveInterval: TimeAmount

  init(stallTimeout: TimeAmount, keepAliveInterval: TimeAmount, now: NIODeadline) {
    self.stallTimeout = stallTimeout
    self.keepAliveInterval = keepAliveInterval
    lastArrival = now
    lastReply = now
  }

  var isEmpty: Bool { head == nil && entries.isEmpty }

  // MARK: Commands

  mutating func append(_ entry: Entry) {
    entries.append(entry)
    unwritten += 1
    bytesInFlight += entry.bytes
    repliesInFlight += entry.missingReplies
  }

  /// Everything appended so far has been handed to the channel: from now on it may have been executed.
  mutating func markWritten() {
    unwritten = 0
  }

  // MARK: Replies

  mutating func arrived(now: NIODeadline) {
    lastArrival = now
  }

  mutating func takeReply() -> Delivery {
    lastReply = lastArrival
    if head == nil {
      guard var entry = entries.popFirst() else { return .unsolicited }
      unwritten = min(unwritten, entries.count)
      if entry.replies == 1 {
        repliesInFlight -= 1
        bytesInFlight -= entry.bytes
        return Self.delivery(entry.waiter.take(), isLast: true, submitted: entry.submitted)
      }
      head = entry
    }
    return takeHeadReply()
  }

  private mutating func takeHeadReply() -> Delivery {
    guard let missing = head?.missingReplies, let submitted = head?.submitted else { return .unsolicited }
    repliesInFlight -= 1
    if missing > 1 {
      head?.missingReplies = missing - 1
      return Self.delivery(head?.waiter, isLast: false, submitted: submitted)
    }
    let waiter = head?.waiter.take()
    bytesInFlight -= head?.bytes ?? 0
    head = nil
    return Self.delivery(waiter ?? nil, isLast: true, submitted: submitted)
  }

  private static func delivery(_ waiter: Waiter?, isLast: Bool, submitted: NIODeadline) -> Delivery {
    guard let waiter else { return .drop }
    return .deliver(waiter, isLast: isLast, submitted: submitted)
  }

  // MARK: Giving up

  /// The waiter with this id, which gets no reply any more; `nil` if it has had its reply or has given up before.
  mutating func cancel(_ id: UInt64) -> Disappointed? {
    if head?.id == id { return head?.giveUp(isWritten: true) }
    guard let index = entries.lastIndex(where: { $0.id == id }) else { return nil }
    return giveUp(index)
  }

  private mutating func giveUp(_ index: Int) -> Disappointed? {
    entries[index].giveUp(isWritten: index < entries.count - unwritten)
  }

  mutating func expire(now: NIODeadline) -> Expiry {
    guard let oldest = head ?? entries.first else {
      let probe = lastArrival + keepAliveInterval
      return now >= probe ? Expiry(needsProbe: true, next: now + stallTimeout) : Expiry(next: probe)
    }
    let patience = max(stallTimeout, oldest.deadline - oldest.submitted)
    // One reply that goes on and on holds up all others, as silence does.
    let stall = min(max(lastArrival, oldest.submitted) + patience, max(lastReply, oldest.submitted) + patience + stallTimeout)
    var expiry = Expiry(isStalled: now >= stall)
    // The queue may soon be empty, and the connection then has to be probed in time.
    expiry.next = min(now >= stall ? now + stallTimeout : stall, now + keepAliveInterval)
    if let head, head.waiter != nil {
      if head.deadline > now {
        expiry.next = min(expiry.next, head.deadline)
      } else if let late = self.head?.giveUp(isWritten: true) {
        expiry.timedOut.append(late)
      }
    }
    for index in entries.indices where entries[index].waiter != nil {
      if entries[index].deadline > now {
        expiry.next = min(expiry.next, entries[index].deadline)
      } else if let late = giveUp(index) {
        expiry.timedOut.append(late)
      }
    }
    return expiry
  }

  /// The connection is gone: everybody still waiting.
  mutating func close() -> [Disappointed] {
    var waiting: [Disappointed] = []
    if let first = head?.giveUp(isWritten: true) { waiting.append(first) }
    for index in entries.indices {
      if let next = giveUp(index) { waiting.append(next) }
    }
    head = nil
    entries.removeAll()
    unwritten = 0
    bytesInFlight = 0
    repliesInFlight = 0
    return waiting
  }
}
