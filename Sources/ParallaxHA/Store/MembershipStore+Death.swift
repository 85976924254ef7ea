import ParallaxConcurrency

extension MembershipStore {
  /// Tells the members of a cluster that a process has ended, so that they recover its work at once instead of after its silence.
  ///
  /// The counterpart of ``ElectionStore/recordDeath(of:incarnation:timings:clock:onRelease:)``, with the same demand: **the caller must
  /// know that the process has ended**; see <doc:ProvingDeath>. A living node that finds such a mark removes it with its next heartbeat,
  /// but other nodes may have taken over its work by then.
  ///
  /// A heartbeat that the process had sent may reach the store after its death and remove the mark. The call therefore marks the field
  /// again, at every `timings.retryPeriod`, until `timings.leaseDuration` has passed. While the store does not answer the call goes on
  /// trying until then. Cancelling the task ends the call early without harm.
  ///
  /// - Parameters:
  ///   - session: The session whose process has ended.
  ///   - end: When and how it ended.
  ///   - timings: The durations of the election; ``ElectionTimings/standard`` by default.
  ///   - clock: The clock of the waits; `ContinuousClock` by default.
  ///   - onMark: Called once, when the field has its first mark; does nothing by default.
  /// - Returns: Whether there was a field to mark: a node that has left by itself has none.
  /// - Throws: The error of the store if it has not answered; `CancellationError`.
  @discardableResult
  public func recordDeath<C: Clock>(
    of session: NodeSession, _ end: MemberEnd, timings: ElectionTimings = .standard, clock: C = ContinuousClock(),
    onMark: () async -> Void = {}
  ) async throws -> Bool where C.Duration == Duration {
    let deadline = clock.now.advanced(by: timings.leaseDuration)
    var answer: Result<Bool, any Error>
    var isMarked = false
    while true {
      let isLast = clock.now >= deadline
      var pause = timings.retryPeriod
      do {
        let isPresent = try await withTimeout(timings.callTimeout, clock: clock) { try await self.markEnded(session, end) }
        answer = .success(isPresent)
        if isPresent, !isMarked { await onMark() }
        isMarked = isMarked || isPresent
      } catch {
        answer = .failure(error)
        pause = timings.retryPeriod / 4
      }
      try Task.checkCancellation()
      if isLast { break }
      try await clock.sleep(until: min(clock.now.advanced(by: pause), deadline), tolerance: nil)
    }
    if case .failure(let error) = answer, !isMarked { throw error }
    return isMarked
  }
}
