import ParallaxAPI
import ParallaxState
import Testing

@testable import ParallaxControlPlane

@Suite struct WaitingQueueTests {
  private func names(_ queue: inout WaitingQueue, skipping: Set<WaitingQueue.Line> = []) -> [String] {
    var names: [String] = []
    while let entry = queue.pop(skipping: skipping) { names.append(entry.executionID) }
    return names
  }

  @Test func entriesOfAllLinesAreOrderedByPriorityThenByAge() {
    var queue = WaitingQueue()
    queue.add("a", need: .start(agents: 1), priority: .low, order: 1)
    queue.add("b", need: .start(agents: 3), priority: .normal, order: 2)
    queue.add("c", need: .slot(0), priority: .normal, order: 3)
    queue.add("d", need: .start(agents: 1), priority: .high, order: 4)
    queue.add("e", need: .start(agents: 1), priority: .normal, order: 5)
    #expect(queue.first?.executionID == "d" && queue.count == 5)
    #expect(names(&queue) == ["d", "b", "c", "e", "a"])
    #expect(queue.isEmpty && queue.first == nil)
  }

  @Test func skippedLinesKeepTheirEntries() {
    var queue = WaitingQueue()
    queue.add("a", need: .start(agents: 3), priority: .normal, order: 1)
    queue.add("b", need: .start(agents: 1), priority: .normal, order: 2)
    queue.add("c", need: .slot(0), priority: .normal, order: 3)
    #expect(names(&queue, skipping: [.start(agents: 3), .retries]) == ["b"])
    #expect(names(&queue) == ["a", "c"])
  }

  @Test func returnedEntriesRegainTheirPlaces() {
    var queue = WaitingQueue()
    for (order, name) in ["a", "b", "c"].enumerated() {
      queue.add(name, need: .start(agents: 1), priority: .normal, order: UInt64(order))
    }
    let first = [queue.pop(skipping: []), queue.pop(skipping: [])].compactMap { $0 }
    queue.putBack(first)
    #expect(names(&queue) == ["a", "b", "c"])
  }

  @Test func manyOutdatedEntriesAreDropped() {
    var queue = WaitingQueue()
    for order in 0..<3_000 {
      queue.add("\(order)", need: order % 2 == 0 ? .slot(0) : .start(agents: 1), priority: .normal, order: UInt64(order))
      queue.compact { $0.executionID == "7" || $0.executionID == "\(order)" }
    }
    #expect(queue.count <= 1_025)
    #expect(queue.first?.executionID == "7")
  }
}

@Suite struct TimerQueueTests {
  @Test func timersFireByTimeThenByCreation() {
    var timers = TimerQueue<String>()
    timers.add("late", at: .seconds(3))
    timers.add("b", at: .seconds(1))
    timers.add("c", at: .seconds(1))
    timers.add("a", at: .milliseconds(500))
    #expect(timers.next == .milliseconds(500))
    #expect(timers.popDue(at: .milliseconds(499)) == nil)
    var due: [String] = []
    while let kind = timers.popDue(at: .seconds(1)) { due.append(kind) }
    #expect(due == ["a", "b", "c"])
    #expect(timers.next == .seconds(3) && timers.count == 1)
  }

  @Test func manyOutdatedTimersAreDropped() {
    var timers = TimerQueue<Int>()
    for number in 0..<1_024 { timers.add(number, at: .seconds(number)) }
    timers.compact { _ in false }
    #expect(timers.count == 1_024)
    timers.add(1_024, at: .zero)
    timers.compact { $0.isMultiple(of: 2) }
    #expect(timers.count == 513)
    #expect(timers.popDue(at: .zero) == 0 && timers.popDue(at: .zero) == 1_024)
  }
}

@Suite struct WorkQueueTests {
  private func take(_ queue: inout WorkQueue, width: Int) -> [String] {
    var taken: [String] = []
    while let id = queue.next(width: width) { taken.append(id) }
    return taken
  }

  @Test func anExecutionIsQueuedOnce() {
    var queue = WorkQueue()
    for _ in 0..<100 { queue.add("a") }
    #expect(queue.count == 1)
    let first = take(&queue, width: 64)
    // An addition during the work causes one more turn.
    for _ in 0..<100 { queue.add("a") }
    let during = take(&queue, width: 64)
    queue.finish("a")
    let next = take(&queue, width: 64)
    #expect([first, during, next] == [["a"], [], ["a"]])
  }

  /// A master of a Redis Cluster is away, and no work on its executions ends.
  @Test func partsOfTheStoreGoOnWhileAnotherIsAway() {
    let partitions = StorePartitions(count: 4, execution: { Int($0.dropFirst(5))! % 4 }, idempotencyKey: { _ in 0 })
    var queue = WorkQueue(partitions)
    for number in 0..<400 { queue.add("exec_\(number)") }
    var (done, held): ([String], [String]) = ([], [])
    while done.count < 300 {
      let taken = take(&queue, width: 64)
      if taken.isEmpty { break }
      for id in taken { if partitions.part(ofExecution: id) == 0 { held.append(id) } else { done.append(id) } }
      #expect(held.count <= 16 && taken.count <= 64)
      for id in taken where partitions.part(ofExecution: id) != 0 { queue.finish(id) }
    }
    #expect(done.count == 300 && held.count == 16)
    // The part is back.
    for id in held { queue.finish(id) }
    let returned = take(&queue, width: 64)
    #expect(returned.count == 16)
  }

  @Test func theNumberOfExecutionsInProgressIsBounded() {
    var queue = WorkQueue()
    for id in ["a", "b", "c"] { queue.add(id) }
    let first = take(&queue, width: 2)
    queue.finish("a")
    let next = take(&queue, width: 2)
    #expect([first, next] == [["a", "b"], ["c"]])
  }
}
