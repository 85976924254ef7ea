import NIOCore
import Testing

@testable import ParallaxRedis

@Suite("Reply queue")
struct ReplyQueueTests {
  private typealias Queue = ReplyQueue<String>

  private static let start = NIODeadline.uptimeNanoseconds(1_000_000_000)

  private static func at(_ milliseconds: Int64) -> NIODeadline { start + .milliseconds(milliseconds) }

  private static func queue() -> Queue {
    Queue(stallTimeout: .milliseconds(100), keepAliveInterval: .milliseconds(500), now: start)
  }

  private static func entry(
    _ id: UInt64, _ waiter: String, replies: Int = 1, at milliseconds: Int64 = 0, timeout: Int64 = 100
  ) -> Queue.Entry {
    Queue.Entry(
      id: id, waiter: waiter, replies: replies, submitted: at(milliseconds), deadline: at(milliseconds + timeout), bytes: 10)
  }

  /// The waiters for the next replies.
  private static func take(_ replies: Int, from queue: inout Queue) -> [String] {
    var takers: [String] = []
    for _ in 0..<replies {
      switch queue.takeReply() {
      case .deliver(let waiter, _): takers.append(waiter)
      case .collect: takers.append("\(queue.firstWaiter ?? "nobody")…")
      case .drop: takers.append("dropped")
      case .unsolicited: takers.append("unsolicited")
      }
    }
    return takers
  }

  @Test("Replies go to the waiters in the order of the commands, a pipeline taking several")
  func order() {
    var queue = Self.queue()
    queue.append(Self.entry(1, "a"))
    queue.append(Self.entry(2, "b", replies: 2))
    queue.append(Self.entry(3, "c"))
    #expect(queue.repliesInFlight == 4)
    #expect(queue.bytesInFlight == 30)
    #expect(Self.take(5, from: &queue) == ["a", "b…", "b", "c", "unsolicited"])
    #expect(queue.repliesInFlight == 0)
    #expect(queue.bytesInFlight == 0)
  }

  @Test("A cancelled command's reply is dropped, and no other")
  func cancellation() {
    var queue = Self.queue()
    queue.append(Self.entry(1, "a"))
    queue.append(Self.entry(2, "b", replies: 2))
    queue.markWritten()
    queue.append(Self.entry(3, "c"))
    let cancelled = queue.cancel(2)
    #expect(cancelled?.waiter == "b")
    #expect(cancelled?.isWritten == true)
    #expect(queue.cancel(2) == nil)
    #expect(queue.cancel(9) == nil)
    #expect(Self.take(4, from: &queue) == ["a", "dropped", "dropped", "c"])
  }

  @Test("Commands past their deadline time out, and their late replies are dropped")
  func timeOut() {
    var queue = Self.queue()
    queue.append(Self.entry(1, "slow", timeout: 1_000))
    queue.append(Self.entry(2, "quick", timeout: 50))
    queue.markWritten()
    let early = queue.expire(now: Self.at(49))
    #expect(early.timedOut.isEmpty)
    #expect(early.next == Self.at(50))
    let late = queue.expire(now: Self.at(50))
    #expect(late.timedOut.map(\.waiter) == ["quick"])
    #expect(late.timedOut.first?.isWritten == true)
    #expect(!late.isStalled)
    #expect(Self.take(2, from: &queue) == ["slow", "dropped"])
  }

  @Test("Silence while replies are due is a stall, after the time-out of the first of them at the earliest")
  func stall() {
    var queue = Self.queue()
    queue.append(Self.entry(1, "a", timeout: 20))
    queue.append(Self.entry(2, "b", timeout: 300))
    #expect(!queue.expire(now: Self.at(99)).isStalled)
    queue.arrived(now: Self.at(99))
    _ = queue.takeReply()
    #expect(!queue.expire(now: Self.at(398)).isStalled)
    let end = queue.expire(now: Self.at(399))
    #expect(end.isStalled)
  }

  @Test("A reply without an end is a stall, some time after its waiter has given up")
  func endlessReply() {
    var queue = Self.queue()
    queue.append(Self.entry(1, "a"))
    for step in 1...3 {
      queue.arrived(now: Self.at(Int64(step) * 60))
      #expect(!queue.expire(now: Self.at(Int64(step) * 60)).isStalled)
    }
    queue.arrived(now: Self.at(199))
    #expect(queue.expire(now: Self.at(199)).next == Self.at(200))
    #expect(queue.expire(now: Self.at(200)).isStalled)
  }

  @Test("Replies that keep arriving are no stall, however late")
  func slowButAlive() {
    var queue = Self.queue()
    for id in 1...10 { queue.append(Self.entry(UInt64(id), "\(id)")) }
    for step in 1...9 {
      queue.arrived(now: Self.at(Int64(step) * 90))
      _ = queue.takeReply()
      #expect(!queue.expire(now: Self.at(Int64(step) * 90 + 89)).isStalled)
    }
  }

  @Test("An idle connection is probed after the keep-alive interval")
  func probe() {
    var queue = Self.queue()
    #expect(!queue.expire(now: Self.at(499)).needsProbe)
    #expect(queue.expire(now: Self.at(500)).needsProbe)
    queue.arrived(now: Self.at(510))
    let next = queue.expire(now: Self.at(600))
    #expect(!next.needsProbe)
    #expect(next.next == Self.at(1_010))
  }

  @Test("A connection is probed again after the keep-alive interval, also where commands may take longer")
  func probeBesidePatience() {
    var queue = Queue(stallTimeout: .milliseconds(2_000), keepAliveInterval: .milliseconds(500), now: Self.start)
    let expiry = queue.expire(now: Self.at(500))
    #expect(expiry.needsProbe)
    #expect(expiry.next == Self.at(1_000))
  }

  @Test("A command with a long time-out does not delay the next check beyond the keep-alive interval")
  func probeAfterPatientCommand() {
    var queue = Self.queue()
    queue.append(Self.entry(1, "patient", timeout: 60_000))
    #expect(queue.expire(now: Self.at(500)).next == Self.at(1_000))
    queue.arrived(now: Self.at(510))
    _ = queue.takeReply()
    #expect(queue.expire(now: Self.at(1_000)).next == Self.at(1_010))
    #expect(queue.expire(now: Self.at(1_010)).needsProbe)
  }

  @Test("The end reports which commands were written, and how much of a pipeline was answered")
  func close() {
    var queue = Self.queue()
    queue.append(Self.entry(1, "pipeline", replies: 3))
    queue.append(Self.entry(2, "gone"))
    queue.markWritten()
    queue.append(Self.entry(3, "unwritten"))
    _ = queue.takeReply()
    _ = queue.cancel(2)
    let waiting = queue.close()
    #expect(waiting.map(\.waiter) == ["pipeline", "unwritten"])
    #expect(waiting.map(\.isWritten) == [true, false])
    #expect(waiting.map(\.received) == [1, 0])
    #expect(Self.take(1, from: &queue) == ["unsolicited"])
  }
}
