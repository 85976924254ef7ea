extension ManualClock {
  /// Advances the clock from one deadline to the next while an operation runs.
  ///
  /// It suits operations that end by a time-out, such as the stop of a node whose store does not answer. Woken tasks get a few turns before
  /// the next step, but no more: a test that requires a task to act in time should not use it.
  ///
  /// - Parameter operation: The operation.
  /// - Returns: The value of the operation.
  /// - Throws: The error of the operation.
  public func advance<Value>(during operation: () async throws -> Value) async rethrows -> Value {
    // Cancelled and joined at the end of the scope.
    async let _: Void = passUntilCancelled()
    return try await operation()
  }

  private func passUntilCancelled() async {
    while !Task.isCancelled {
      for _ in 0..<100 { await Task.yield() }
      if let next = nextDeadline { advance(by: max(now.duration(to: next), .zero)) }
    }
  }
}
