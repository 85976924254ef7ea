public import ParallaxHA

extension ManualClock {
  /// Advances the clock for elections from one deadline to the next, each time after all nodes have done their work.
  ///
  /// No node is late by this clock, however busy the computer is. Hung calls are not awaited.
  ///
  /// - Parameters:
  ///   - duration: The total step.
  ///   - elections: The nodes on this clock.
  public func advance<Store: ElectionStore>(by duration: Duration, with elections: [LeaderElection<Store, ManualClock>]) async {
    let end = now.advanced(by: duration)
    await settle(elections)
    while now < end {
      // A node that is about to sleep is not yet known to the clock, but knows its deadline.
      let deadlines = elections.compactMap(\.nextWakeUp) + [nextDeadline, end].compactMap(\.self)
      advance(by: max(now.duration(to: deadlines.min() ?? end), .zero))
      await settle(elections)
    }
  }

  /// Waits until no node has work before the next step.
  private func settle<Store: ElectionStore>(_ elections: [LeaderElection<Store, ManualClock>]) async {
    // Hints and the work of bodies are invisible here; a number of turns of other tasks must suffice for them.
    var idleTurns = 0
    for _ in 0..<1_000 where idleTurns < 8 {
      await Task.yield()
      idleTurns = elections.allSatisfy { $0.isWaiting() } ? idleTurns + 1 : 0
    }
  }
}
