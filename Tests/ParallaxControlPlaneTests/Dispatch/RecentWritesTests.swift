import ParallaxAPI
import ParallaxState
import Testing

@testable import ParallaxControlPlane

@Suite struct RecentWritesTests {
  private func ended(_ number: Int, input: JSONValue = [:]) -> StoredExecution {
    var execution = World().execution("exec_\(number)")
    execution.input = input
    return StoredExecution(execution: execution, tasks: [])
  }

  private func outcome(_ number: Int, result: JSONValue = nil) -> RecentWrites.Outcome {
    RecentWrites.Outcome(
      task: TaskRecord(id: "task_\(number)_0", agentID: "a", slot: 0, state: .completed, result: result), execution: "exec_\(number)")
  }

  @Test func theLatestOfEachKindAreKept() {
    var recent = RecentWrites()
    let count = RecentWrites.capacity + 10
    for number in 0..<count {
      recent.add(ended(number))
      recent.add(outcome(number))
      recent.add(RecentWrites.Claim(key: "key \(number)", executionID: "exec_\(number)", digest: "d"))
    }
    let kept = 10..<count
    #expect(recent.finished.map(\.execution.id) == kept.map { "exec_\($0)" })
    #expect(recent.outcomes.map(\.execution) == kept.map { "exec_\($0)" })
    #expect(recent.claims.map(\.key) == kept.map { "key \($0)" })
  }

  @Test func bigOnesTakeTheRoomOfMany() {
    var recent = RecentWrites()
    let big = JSONValue.array([.string(String(repeating: "x", count: RecentWrites.byteLimit / 4))])
    for number in 0..<10 {
      recent.add(ended(number))
      recent.add(outcome(number))
    }
    for number in 10..<20 {
      recent.add(ended(number, input: big))
      recent.add(outcome(number, result: big))
    }
    #expect(recent.finished.map(\.execution.id) == ["exec_17", "exec_18", "exec_19"])
    #expect(recent.outcomes.map(\.execution) == ["exec_17", "exec_18", "exec_19"])
    // Room that is free again is used again.
    for number in 20..<30 { recent.add(ended(number)) }
    #expect(recent.finished.count == 13)
  }
}
