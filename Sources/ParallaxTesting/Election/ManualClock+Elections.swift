public import ParallaxHA

extension ManualClock {
  /// Lets time pass for elections, as if they were fast: from one deadline to the next, and only when no node has anything left to do
  /// before it.
  ///
  /// No node is late by this clock, however busy the computer is. Hung calls are not waited for.
  ///
  /// - Parameters:
  ///   - duration: How far.
  ///   - elections: The nodes on this clock.
  public func advance<Store: ElectionStore>(by duration: Duration, with elections: [LeaderElection<Store, ManualClock>]) async {
    let end = now.advanced(by: duration)
    await settle(elections)
    while now < end {
      // Who is about to sleep does not sleep on the clock yet, but knows until when.
      let deadlines = elections.compactMap(\.nextWakeUp) + [nextDeadline, end].compactMap(\.self)
      advance(by: max(now.duration(to: deadlines.min() ?? end), .zero))
      await settle(elections)
    }
  }

  /// Waits until no node has anything to do before time passes.
  private func settle<Store: ElectionStore>(_ elections: [LeaderElection<Store, ManualClock>]) async {
    // Hints, and what bodies do, cannot be seen; they have their turn among some turns of the other tasks.
    var idleTurns = 0
    for _ in 0..<1_000 where idleTurns < 8 {
      await Task.yield()
      idleTurns = elections.allSatisfy { $0.isWaiting() } ? idleTurns + 1 : 0
    }
  }
}
