import ParallaxConcurrency

extension ElectionStore {
  /// Gives back the lease of a process that has ended, so that another node can lead at once instead of a lease later.
  ///
  /// **The caller must know that the process has ended**, from the kernel on which it ran: by a wait status of a child, by a process
  /// descriptor (`pidfd`) that is readable, or by the end of file of a pipe whose only writing end the process held. Silence is no proof,
  /// nor is a refused or reset connection, a stopped process, a free process id or an orchestrator's opinion of a host that it cannot
  /// reach: the process may go on, and the election then has two leaders until the first one has read its record. See <doc:ProvingDeath>.
  ///
  /// If the record names this incarnation, it is released by compare-and-set, as the leader itself would have done: its term and number of
  /// transitions stay, its pause stays, a request to hand over is carried out. The write is tried again until the record names another
  /// incarnation or nobody. A record of another incarnation, also one of the same node id, is not touched, and a missing record stays
  /// missing.
  ///
  /// A write that the process had sent may reach the store after its death. The call therefore reads the record at every
  /// `timings.retryPeriod` until `timings.leaseDuration` has passed, and releases it again if need be. While the store does not answer the
  /// call goes on trying until then; later the lease has ended by itself. Cancelling the task ends the call early without harm.
  ///
  /// ```swift
  /// let worker = try Process.run(executable, arguments: ["--incarnation", incarnation])
  /// worker.waitUntilExit()
  /// try await store.recordDeath(of: "worker-1", incarnation: incarnation)
  /// ```
  ///
  /// - Parameters:
  ///   - nodeID: The node id of the ended process.
  ///   - incarnation: Its incarnation: ``NodeSession/incarnation`` of ``LeaderElection/session``.
  ///   - timings: The durations of the election; ``ElectionTimings/standard`` by default.
  ///   - clock: The clock of the waits; `ContinuousClock` by default.
  ///   - onRelease: Called after each release, long before the call returns; does nothing by default.
  /// - Returns: The fencing tokens of the released terms: none if the process did not lead, more than one only after a late write.
  /// - Throws: ``ElectionError`` with `storeUnavailable` if it is unknown at the end whether the record still names the process;
  ///   `CancellationError`.
  @discardableResult
  public func recordDeath<C: Clock>(
    of nodeID: String, incarnation: String, timings: ElectionTimings = .standard, clock: C = ContinuousClock(),
    onRelease: (FencingToken) -> Void = { _ in }
  ) async throws -> [FencingToken] where C.Duration == Duration {
    var notice = DeathNotice(of: NodeSession(nodeID: nodeID, incarnation: incarnation), timings: timings)
    let origin = clock.now
    var lastError: (any Error)?
    while let step = notice.next(at: origin.duration(to: clock.now)) {
      try Task.checkCancellation()
      if case .wait(let instant) = step {
        try await clock.sleep(until: origin.advanced(by: instant), tolerance: nil)
        continue
      }
      let count = notice.released.count
      do {
        let answer = try await withTimeout(timings.callTimeout, clock: clock) { try await self.answer(to: step) }
        notice.heard(answer, at: origin.duration(to: clock.now))
      } catch {
        lastError = error
        notice.heard(.failed, at: origin.duration(to: clock.now))
      }
      if notice.released.count > count, let token = notice.released.last { onRelease(token) }
    }
    guard notice.isSettled else {
      throw ElectionError(
        .storeUnavailable,
        "the store did not say within \(timings.leaseDuration) whether its record still names \(nodeID) (\(incarnation)); its lease ends by itself",
        cause: lastError)
    }
    return notice.released
  }

  /// Performs a step of a notice other than a wait.
  ///
  /// - Parameter step: The step.
  /// - Returns: The answer for ``DeathNotice/heard(_:at:)``.
  /// - Throws: The error of the store; the outcome is then unknown.
  package func answer(to step: DeathNotice.Step) async throws -> DeathNotice.Answer {
    guard case .release(let record, let version) = step else { return .found(try await read()) }
    switch try await compareAndSet(record, expecting: version) {
    case .written: return .written
    case .conflict(let snapshot): return .found(snapshot)
    }
  }
}
