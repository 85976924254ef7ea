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
/// A duty is cancelled when its term ends, and must end soon after: see ``ElectionTimings/stopBudget``. Its writes should carry the fencing
/// token, since a leader can be paused between any check and the following write.
public struct LeaderDuty: Sendable {
  /// The duty's name in logs and metrics; unique among the duties of a leader.
  public let name: String
  /// The rest after each run, failed or not; up to a fifth of it is added at random.
  public let interval: Duration
  /// Whether the first run begins with the term, instead of an interval later.
  public let startsAtOnce: Bool
  /// Runs the duty before its interval ends.
  public let trigger: Trigger

  let work: @Sendable (FencingToken) async throws -> Void

  /// Creates a duty for ``LeaderDuties``.
  ///
  /// - Parameters:
  ///   - name: The duty's name in logs and metrics.
  ///   - interval: The rest after each run; more than zero.
  ///   - startsAtOnce: Whether the first run begins with the term and completes what the last leader left unfinished; `true` by default.
  ///   - trigger: Runs the duty before its interval ends; by default a trigger of its own.
  ///   - work: The work, which receives the fencing token of the term; its calls never overlap.
  public init(
    _ name: String, every interval: Duration, startsAtOnce: Bool = true, trigger: Trigger = Trigger(),
    work: @escaping @Sendable (FencingToken) async throws -> Void
  ) {
    precondition(interval > .zero, "the duty \"\(name)\" has an interval of \(interval); it must be more than zero")
    self.name = name
    self.interval = interval
    self.startsAtOnce = startsAtOnce
    self.trigger = trigger
    self.work = work
  }
}

extension LeaderDuty {
  /// Runs its duties early; may be fired on any thread and at any time.
  ///
  /// Several fires before a run begins cause one run. A fire during a run causes another run at once, since the current one may have begun
  /// too early to see the reason of the fire. A fire while this node does not lead is kept for its next term.
  public final class Trigger: Sendable {
    private struct State {
      var lastListener: UInt64 = 0
      var listeners: [UInt64: WakeUp] = [:]
      var isKept = false
    }

    private let state = Mutex(State())

    /// Creates a trigger for one or several duties.
    public init() {}

    /// Runs the duties now, or at the beginning of this node's next term; returns without waiting for them.
    public func fire() {
      let listeners = state.withLock { state in
        if state.listeners.isEmpty { state.isKept = true }
        return Array(state.listeners.values)
      }
      for listener in listeners { listener.signal() }
    }

    /// Adds a listener, which is woken at each fire, and at once for a kept fire.
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

    /// Removes a listener; a fire that it has not handled is kept.
    func stopListening(_ id: UInt64) {
      guard let wakeUp = state.withLock({ $0.listeners.removeValue(forKey: id) }), wakeUp.silence() else { return }
      fire()
    }
  }
}
