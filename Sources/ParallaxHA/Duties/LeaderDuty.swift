import ParallaxConcurrency
import Synchronization

/// Work that whoever leads does again and again: recovery, cleaning up, a schedule.
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
  /// What logs and metrics call it; unique among the duties of a leader.
  public let name: String
  /// How long it rests after each run, failed or not; up to a fifth is added at random.
  public let interval: Duration
  /// Whether it runs as soon as a term begins, rather than an interval later.
  public let startsAtOnce: Bool
  /// Makes it run without waiting for the interval to end.
  public let trigger: Trigger

  let work: @Sendable (FencingToken) async throws -> Void

  /// Makes a duty; it runs by ``LeaderDuties``.
  ///
  /// - Parameters:
  ///   - name: What logs and metrics call it.
  ///   - interval: How long it rests after each run; more than zero.
  ///   - startsAtOnce: Whether it runs as soon as a term begins, so that a new leader finds out at once what the last one left undone.
  ///   - trigger: What hurries it, if anything does.
  ///   - work: What to do, with the fencing token of the term; never called again before it has ended.
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
  /// Hurries the duties that it was given to, from anywhere and at any time.
  ///
  /// Several fires before a run begins make one run. A fire while the duty runs makes it run once more right after, since that run may
  /// have begun too early to see what the fire was about. A fire while this node does not lead is kept for its next term.
  public final class Trigger: Sendable {
    private struct State {
      var lastListener: UInt64 = 0
      var listeners: [UInt64: WakeUp] = [:]
      var isKept = false
    }

    private let state = Mutex(State())

    /// Makes a trigger, to be given to a duty or several.
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
