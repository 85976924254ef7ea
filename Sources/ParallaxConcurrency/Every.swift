/// Repeats work at a fixed rate until the task is cancelled.
///
/// The first run begins at once or after an interval. A run that takes longer than the interval, or a suspended process, moves the
/// schedule: the next run begins a whole interval later, and missed runs are not repeated. A sleep always separates two runs, so the loop
/// never spins.
///
/// The function returns after the cancellation of the task: during a sleep at once, during a run when the run has ended.
///
/// - Parameters:
///   - interval: The time from the beginning of one run to that of the next; more than zero.
///   - clock: The clock of the interval.
///   - startsAtOnce: Whether the first run begins at once; `true` by default.
///   - work: The work.
/// - Throws: The error of the work, which ends the repetition.
nonisolated(nonsending) package func every<C: Clock, Failure: Error>(
  _ interval: C.Duration, clock: C, startsAtOnce: Bool = true,
  _ work: nonisolated(nonsending) () async throws(Failure) -> Void
) async throws(Failure) {
  precondition(interval > .zero, "the interval must be more than zero, found \(interval)")
  var next = clock.now
  if !startsAtOnce { next = next.advanced(by: interval) }
  while true {
    do { try await clock.sleep(until: next, tolerance: nil) } catch { return }
    if Task.isCancelled { return }
    try await work()
    let now = clock.now
    next = next.advanced(by: interval)
    if next <= now { next = now.advanced(by: interval) }
  }
}
