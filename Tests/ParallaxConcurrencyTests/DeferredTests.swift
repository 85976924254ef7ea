import ParallaxConcurrency
import Testing

@Suite(.timeLimit(.minutes(1))) struct DeferredTests {
  private let deferred = Deferred<Int>()

  @Test func allWaitersGetTheValue() async throws {
    try await withThrowingTaskGroup(of: Int.self) { group in
      for _ in 0..<10 { group.addTask { [deferred] in try await deferred.value() } }
      await Task.yield()
      deferred.set(7)
      for try await value in group { #expect(value == 7) }
    }
    #expect(try await deferred.value() == 7)
    #expect(deferred.current == 7)
  }

  @Test func onlyTheFirstValueCounts() async throws {
    #expect(deferred.current == nil)
    #expect(deferred.set(1))
    #expect(!deferred.set(2))
    #expect(try await deferred.value() == 1)
  }

  @Test func cancellationEndsOneWaitAndNoOther() async throws {
    let cancelled = Task { [deferred] in try await deferred.value() }
    let other = Task { [deferred] in try await deferred.value() }
    cancelled.cancel()
    await #expect(throws: CancellationError.self) { try await cancelled.value }
    deferred.set(3)
    #expect(try await other.value == 3)
  }

  @Test func aCancelledTaskGetsAPresentValue() async throws {
    let missing = await whenCancelled { [deferred] in try await deferred.value() }
    #expect(throws: CancellationError.self) { try missing.get() }
    deferred.set(4)
    let present = await whenCancelled { [deferred] in try await deferred.value() }
    #expect(try present.get() == 4)
  }

  @Test("A value that is set while tasks are cancelled resumes each of them once")
  func settingAgainstCancelling() async {
    for _ in 0..<200 {
      let deferred = Deferred<Void>()
      let tasks = (0..<4).map { _ in Task { try? await deferred.value() } }
      async let setting: Void = deferred.set()
      for task in tasks { task.cancel() }
      await setting
      for task in tasks { _ = await task.value }
    }
  }
}
