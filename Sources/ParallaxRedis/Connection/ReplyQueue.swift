import DequeModule
import NIOCore

/// Who waits for which reply of one connection, in the order of the commands, and since when.
///
/// A pure value: it decides, the channel handler acts. A waiter may stand for several replies in a row, those of a pipeline. One that
/// gave up, by time-out or cancellation, leaves an abandoned entry behind, so that its replies are still counted off when they come.
///
/// Every command is one entry, which is moved in and out and never copied: copies would cost more than all that is decided here.
struct ReplyQueue<Waiter>: ~Copyable {
  struct Entry: ~Copyable {
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

    /// How many replies have come.
    fileprivate var received: Int { replies - missingReplies }
  }

  /// A waiter that gets no reply, or not all of its replies.
  struct Disappointed {
    let waiter: Waiter
    /// Whether the server may have executed what it has not answered.
    let isWritten: Bool
    /// How many of the replies had come.
    let received: Int
  }

  /// What to do with a reply.
  enum Delivery: ~Copyable {
    /// The reply completes the waiter.
    case deliver(Waiter, submitted: NIODeadline)
    /// It belongs to ``ReplyQueue/firstWaiter``, which misses more.
    case collect(submitted: NIODeadline)
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

  private var entries = UniqueDeque<Entry>()
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

  var isEmpty: Bool { entries.isEmpty }

  /// Who waits for the reply that comes next; `nil` also if that one has given up.
  var firstWaiter: Waiter? { entries.isEmpty ? nil : entries[0].waiter }

  // MARK: Commands

  mutating func append(_ entry: consuming Entry) {
    unwritten += 1
    bytesInFlight += entry.bytes
    repliesInFlight += entry.missingReplies
    entries.append(entry)
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

  /// The waiter with this id, which gets no reply any more; `nil` if it has had its reply or has given up before.
  mutating func cancel(_ id: UInt64) -> Disappointed? {
    // From the end, as it is the young that are cancelled.
    for index in entries.indices.reversed() where entries[index].id == id { return giveUp(index) }
    return nil
  }

  /// The waiter at some place, once, which gets nothing more.
  private mutating func giveUp(_ index: Int) -> Disappointed? {
    let received = entries[index].received
    let isWritten = received > 0 || index < entries.count - unwritten
    return entries[index].waiter.take().map { Disappointed(waiter: $0, isWritten: isWritten, received: received) }
  }

  mutating func expire(now: NIODeadline) -> Expiry {
    if entries.isEmpty {
      let probe = lastArrival + keepAliveInterval
      return now >= probe ? Expiry(needsProbe: true, next: now + min(stallTimeout, keepAliveInterval)) : Expiry(next: probe)
    }
    let (submitted, deadline) = (entries[0].submitted, entries[0].deadline)
    let patience = max(stallTimeout, deadline - submitted)
    // One reply that goes on and on holds up all others, as silence does.
    let stall = min(max(lastArrival, submitted) + patience, max(lastReply, submitted) + patience + stallTimeout)
    var expiry = Expiry(isStalled: now >= stall)
    // The queue may soon be empty, and the connection then has to be probed in time.
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

  /// The connection is gone: everybody still waiting.
  mutating func close() -> [Disappointed] {
    var waiting: [Disappointed] = []
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
