import ParallaxAPI
import ParallaxHA
import ParallaxState
import Testing

@testable import ParallaxControlPlane

@Suite struct EventQueueTests {
  @discardableResult
  private func add(_ type: String, on channel: ClusterEvent.Channel, to queue: inout EventQueue) -> EventQueue.Notice? {
    queue.add(on: channel) { sequence in
      ClusterEvent(type: type, id: "x", session: World.session, timestamp: World.start, sequence: sequence)
    }
  }

  @Test func aBatchHoldsTheOldestEventsOfOneChannel() {
    var queue = EventQueue(capacity: 10, batchSize: 2)
    for type in ["a1", "a2", "a3"] { add(type, on: .agent, to: &queue) }
    add("c1", on: .cluster, to: &queue)
    add("a4", on: .agent, to: &queue)
    var batches: [String] = []
    while let (channel, events) = queue.nextBatch() {
      batches.append("\(channel.rawValue) " + events.map { "\($0.type):\($0.sequence)" }.joined(separator: " "))
    }
    #expect(batches == ["agent a1:1 a2:2", "agent a3:3", "cluster c1:1", "agent a4:4"])
  }

  /// A loss leaves a gap in the sequence numbers, and one log line at its beginning and one at its end.
  @Test func lossesLeaveGapsInTheNumbersAndAreReportedOnce() {
    var queue = EventQueue(capacity: 2, batchSize: 10)
    let notices = (1...4).map { add("e\($0)", on: .agent, to: &queue) }
    #expect(notices == [nil, nil, .losing, nil])
    #expect(queue.nextBatch()?.events.map(\.sequence) == [1, 2])
    #expect(queue.recordLoss(2) == nil)
    add("e5", on: .agent, to: &queue)
    #expect(queue.nextBatch()?.events.map(\.sequence) == [5])
    #expect(queue.recordPublished() == .recovered(lost: 4))
    #expect(queue.recordPublished() == nil)
    #expect(queue.recordLoss(1) == .losing)
  }
}
