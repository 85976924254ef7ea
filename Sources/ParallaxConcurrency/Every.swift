/// Does something again and again, at a fixed rate, until the task is cancelled.
///
/// The first time comes at once, or an interval later. A run that takes longer than the interval, or a process that was paused, moves the
/// schedule: the next run comes a whole interval later, missed ones are not made up for. Between two runs there is always a sleep, so this
/// never spins.
///
/// It returns when the task is cancelled: during a sleep at once, during a run when that has ended.
///
/// - Parameters:
///   - interval: The time from the begin of one run to the begin of the next; more than zero.
///   - clock: What the interval is measured by.
///   - startsAtOnce: Whether the first run comes at once.
///   - work: What to do.
/// - Throws: What the work throws, which ends the repetition.
nonisolated(nonsending) package func every<C: Clock, Failure: Error>(
  _ interval: C.Duration, clock: C, startsAtOnce: Bool = true,
  _ work: nonisolated(nonsending) () async throws(Failure) -> Void
) async throws(Failure) {
  precondition(interval > .zero, "work that is repeated every \(interval) would never rest")
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
