import ParallaxConcurrency

/// Runs work once for all callers of the same time.
actor SharedRun<Value: Sendable> {
  private var current: Deferred<Value?>?
  /// The callers that wait for another one's run.
  private(set) var waiting = 0

  /// The value of the work: of the run in progress, or of a new one.
  ///
  /// A caller that is cancelled gets no value; if it ran the work, one of the others runs it again.
  ///
  /// - Parameter work: The work, which ends soon after a cancellation.
  /// - Returns: The value.
  /// - Throws: `CancellationError` if the task is cancelled.
  func value(_ work: @Sendable () async -> Value) async throws(CancellationError) -> Value {
    while let current {
      waiting += 1
      defer { waiting -= 1 }
      if let value = try await current.value() { return value }
    }
    let mine = Deferred<Value?>()
    current = mine
    let value = await work()
    current = nil
    mine.set(Task.isCancelled ? nil : value)
    if Task.isCancelled { throw CancellationError() }
    return value
  }
}
