extension ManualClock {
  /// Lets time pass, from one deadline to the next, for as long as an operation takes.
  ///
  /// It is for what ends by a time-out, such as a node that leaves while its store does not answer. The tasks that wake have some turns
  /// before the time moves on, but no more: what has to be in time by this clock should not depend on it.
  ///
  /// - Parameter operation: What to wait for.
  /// - Returns: What the operation returns.
  /// - Throws: What the operation throws.
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
