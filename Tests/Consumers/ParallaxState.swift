import ParallaxState

/// Needs nothing but the library.
func countOfRunning(in store: any StateStore = InMemoryStateStore()) async throws -> Int {
  try await store.executions(ExecutionQuery(status: .running, limit: 100)).executions.count
}
