import ParallaxConcurrency
import Synchronization
import TestSupport
import Testing

@testable import ParallaxControlPlane

@Suite(.timeLimit(.minutes(1))) struct SharedRunTests {
  /// Work that waits for permission and counts its runs.
  private final class Work: Sendable {
    private let count = Mutex(0)
    let permission = Deferred<Void>()

    var runs: Int { count.withLock { $0 } }

    func run() async -> Int {
      let run = count.withLock { count in
        count += 1
        return count
      }
      try? await permission.value()
      return run
    }
  }

  @Test func callersOfTheSameTimeShareOneRunAndALaterOneHasItsOwn() async throws {
    let (shared, work) = (SharedRun<Int>(), Work())
    let values = try await withThrowingTaskGroup(of: Int.self) { group in
      for _ in 0..<3 { group.addTask { try await shared.value { await work.run() } } }
      try await eventually("two callers wait for the third one's run") { await shared.waiting == 2 }
      work.permission.set()
      return try await group.reduce(into: []) { $0.append($1) }
    }
    #expect(values == [1, 1, 1] && work.runs == 1)
    #expect(try await shared.value { await work.run() } == 2)
  }

  @Test func aCallerThatGoesLeavesTheOthersARunOfTheirOwn() async throws {
    let (shared, work) = (SharedRun<Int>(), Work())
    let gone = Task { try await shared.value { await work.run() } }
    try await eventually("the first run") { work.runs == 1 }
    let other = Task { try await shared.value { await work.run() } }
    try await eventually("the other caller waits") { await shared.waiting == 1 }
    gone.cancel()
    try await eventually("the second run") { work.runs == 2 }
    work.permission.set()
    #expect(try await other.value == 2)
    await #expect(throws: CancellationError.self) { try await gone.value }
  }
}
