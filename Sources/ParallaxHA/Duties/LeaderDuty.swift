import ParallaxConcurrency
import Synchronization

/// Periodic work of the leader: recovery, cleaning up, a schedule.
///
/// ```swift
/// let lost = LeaderDuty.Trigger()
/// let duties = LeaderDuties([
///   LeaderDuty("recovery", every: .seconds(30), trigger: lost) { token in try await recover(fencedBy: token) },
///   LeaderDuty("clean-up", every: .seconds(3_600), startsAtOnce: false) { token in try await removeOldReports(fencedBy: token) },
/// ])
/// try await election.campaign { token in await duties.run(token) }
/// ```
///
/// A duty is cancelled when its term ends, and has to end soon after: see ``ElectionTimings/stopBudget``. What it writes should carry the
/// fencing token, since a leader can be paused between any check and the write that follows.
public struct LeaderDuty: Sendable {
  /// The duty's name in logs and metrics; unique among the duties of a leader.
  public let name: String
  /// The rest after each run, failed or not; up to a fifth is added at random.
  public let interval: Duration
  /// Whether the duty runs as soon as a term begins, rather than an interval later.
  public let startsAtOnce: Bool
  /// Makes the duty run before its interval ends.
  public let trigger: Trigger

  let work: @Sendable (FencingToken) async throws -> Void

  /// Makes a duty; it runs by ``LeaderDuties``.
  ///
  /// - Parameters:
  ///   - name: The duty's name in logs and metrics.
  ///   - interval: The rest after each run; more than zero.
  ///   - startsAtOnce: Whether the duty runs as soon as a term begins, and so takes up what the last leader left undone.
  ///   - trigger: Makes the duty run before its interval ends.
  ///   - work: The work, given the fencing token of the term; never called again before it has ended.
  public init(
    _ name: String, every interval: Duration, startsAtOnce: Bool = true, trigger: Trigger = Trigger(),
    work: @escaping @Sendable (FencingToken) async throws -> Void
  ) {
    precondition(interval > .zero, "the duty \"\(name)\" rests for \(interval) between its runs: it would never rest")
    self.name = name
    self.interval = interval
    self.startsAtOnce = startsAtOnce
    self.trigger = trigger
    self.work = work
  }
}

extension LeaderDuty {
  /// Makes its duties run early, from anywhere and at any time.
  ///
  /// Several fires before a run begins make one run. A fire during a run makes another run follow at once, since the first may have begun
  /// too early to see the reason of the fire. A fire while this node does not lead is kept for its next term.
  public final class Trigger: Sendable {
    private struct State {
      var lastListener: UInt64 = 0
      var listeners: [UInt64: WakeUp] = [:]
      var isKept = false
    }

    private let state = Mutex(State())

    /// Makes a trigger for one duty or several.
    public init() {}

    /// Makes the duties run now, or at the beginning of this node's next term; returns without waiting for them.
    public func fire() {
      let listeners = state.withLock { state in
        if state.listeners.isEmpty { state.isKept = true }
        return Array(state.listeners.values)
      }
      for listener in listeners { listener.signal() }
    }

    /// Adds one who is woken at each fire, and at once for a fire that was kept.
    func listen() -> (id: UInt64, wakeUp: WakeUp) {
      let wakeUp = WakeUp()
      let (id, isKept) = state.withLock { state in
        defer { state.isKept = false }
        state.lastListener += 1
        state.listeners[state.lastListener] = wakeUp
        return (state.lastListener, state.isKept)
      }
      if isKept { wakeUp.signal() }
      return (id, wakeUp)
    }

    /// Removes a listener; a fire that it has not heeded is kept.
    func stopListening(_ id: UInt64) {
      guard let wakeUp = state.withLock({ $0.listeners.removeValue(forKey: id) }), wakeUp.silence() else { return }
      fire()
    }
  }
}
