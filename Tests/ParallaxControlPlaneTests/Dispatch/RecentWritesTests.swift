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

  private func outcome(_ number: Int, result: JSONValue? = nil, error: ExecutionFailure? = nil) -> RecentWrites.Outcome {
    RecentWrites.Outcome(
      task: TaskRecord(id: "task_\(number)_0", agentID: "a", slot: 0, state: .completed, result: result, error: error),
      execution: "exec_\(number)")
  }

  private func claim(_ number: Int) -> RecentWrites.Claim {
    RecentWrites.Claim(key: "key \(number)", executionID: "exec_\(number)", digest: "d")
  }

  private func numbers(_ recent: RecentWrites) -> [[Int]] {
    func number(_ id: String) -> Int { Int(id.drop { !$0.isNumber }) ?? -1 }
    return [
      recent.finished.elements.map { number($0.element.execution.id) }, recent.outcomes.elements.map { number($0.element.execution) },
      recent.claims.elements.map { number($0.element.key) },
    ]
  }

  @Test func theLatestWritesOfEachKindAreKept() {
    var recent = RecentWrites()
    let count = RecentWrites.greatestCapacity + 10
    for number in 0..<count {
      recent.add(ended(number), at: .zero)
      recent.add(outcome(number), at: .zero)
      recent.add(claim(number), at: .zero)
    }
    let kept = Array(10..<count)
    #expect(numbers(recent) == [kept, kept, kept])
  }

  @Test func endedExecutionsAreBoundedByTheRetentionOfTheStore() {
    var recent = RecentWrites(maxRetained: 3)
    for number in 0..<5 { recent.add(ended(number), at: .zero) }
    #expect(numbers(recent) == [[2, 3, 4], [], []])
  }

  @Test func theSizeOfWritesIsBounded() {
    var recent = RecentWrites()
    let text = String(repeating: "x", count: RecentWrites.byteLimit / 4)
    for number in 0..<10 {
      recent.add(ended(number), at: .zero)
      recent.add(outcome(number), at: .zero)
    }
    for number in 10..<20 {
      recent.add(ended(number, input: [.string(text)]), at: .zero)
      recent.add(outcome(number, error: ExecutionFailure(code: "X", message: text)), at: .zero)
    }
    #expect(numbers(recent) == [[17, 18, 19], [17, 18, 19], []])
    // Freed memory is reused.
    for number in 20..<30 { recent.add(ended(number), at: .zero) }
    #expect(recent.finished.elements.count == 13)
  }

  @Test func writesShortlyBeforeTheLastOfAServerAreEndangered() {
    var recent = RecentWrites()
    for second in [0, 100, 159, 160] { recent.add(ended(second), at: .seconds(second)) }
    recent.add(outcome(110), at: .seconds(110))
    recent.add(claim(99), at: .seconds(99))
    // An outage of an hour, and a write at the server after it.
    recent.add(ended(3_760), at: .seconds(3_760))
    let since = recent.endangered(at: .seconds(3_759))
    #expect(since == .seconds(100))
    recent.drop(before: since)
    #expect(numbers(recent) == [[100, 159, 160, 3_760], [110], []])
  }

  @Test func withoutWritesNothingIsEndangered() {
    let recent = RecentWrites()
    #expect(recent.endangered(at: .seconds(100)) == .seconds(40))
  }
}
