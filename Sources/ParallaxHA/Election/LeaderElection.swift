public import Logging
import ParallaxConcurrency
import ServiceLifecycle
import Synchronization

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// Elects one leader among all nodes that share a store.
///
/// ```swift
/// let election = LeaderElection(store: InMemoryElectionStore(), nodeID: "worker-1")
/// try await election.campaign { token in            // runs only while this node leads; cancelled when it stops leading
///   try await nightlyReport(fencedBy: token)
/// }
/// ```
///
/// Given a store whose compare-and-set is linearizable and node clocks whose *rates* differ by no more than the timings allow (their
/// readings may differ by any amount), it promises:
///
/// 1. At most one valid leader: the validity of any two terms does not overlap; nor across a loss of the store's data, as long as all
///    nodes run the same `leaseDuration`.
/// 2. Terms only grow, and each is granted once. (Only the loss of all data can undo this, when the node elected next remembers no term
///    and its wall clock is behind the one that the last terms began by.)
/// 3. A fenced write that carries an older term than one already accepted is rejected, whatever the clocks do; so is an equal term
///    from another incarnation. See ``FencingToken/admits(_:)``.
/// 4. No duty that honors cancellation runs outside its term: duties are cancelled and joined before the lease is released. One
///    that does not is reported, and its lease is left to expire.
/// 5. Lost is final: a late success never brings a term back; the node campaigns for a new one.
/// 6. Once the store and at least one healthy candidate can talk, there is a leader within `leaseDuration`, a round trip and some
///    jitter, also while operators keep sending requests. No quorum of nodes is needed: the store decides.
/// 7. Losing the store's data does not depose a healthy leader: it asserts its record again, with its term.
///
/// It does not promise, and nothing of its kind can:
///
/// - that side effects without a fencing token exclude each other when a process is paused between checking and acting;
/// - the same when a store that replicates asynchronously fails over and loses a write that it had acknowledged: two nodes may then even
///   have been granted the same term, hence the incarnation in a ``FencingToken``.
///
/// For both, use the fencing token.
public final class LeaderElection<Store: ElectionStore, ElectionClock: Clock>: Sendable where ElectionClock.Duration == Duration {
  /// A call of `campaign(_:)` that is under way.
  struct Campaign {
    /// Signalled when a term has begun or the campaign is over.
    let wake = WakeUp()
    /// A term whose duties have not begun yet.
    var pending: (token: FencingToken, stop: WakeUp)?
    /// Signalled when the term that is led has ended.
    var stop: WakeUp?
    var isOver = false
  }

  struct State {
    var machine: ElectionStateMachine
    /// How many calls of `observe()` and `campaign(_:)` are under way: the first one starts the driver, the last one ends the driver.
    var users = 0
    var driver: Task<Void, Never>?
    var isLeaving = false
    var outgoing: [ElectionStateMachine.Call] = []
    var runningCalls = 0
    var campaign: Campaign?
    var settling: [CheckedContinuation<Void, Never>] = []
    var resigning: [CheckedContinuation<Void, Never>] = []
    var lastID: UInt64 = 0
    var observers: [UInt64: AsyncStream<ElectionStatus>.Continuation] = [:]
    var watchers: [UInt64: AsyncStream<ElectionRecord>.Continuation] = [:]
    var shown: ElectionStatus?
    /// Deliveries that are due, and whether a caller is delivering.
    var news: [@Sendable () -> Void] = []
    var isTelling = false
  }

  let store: Store
  let clock: ElectionClock
  let origin: ElectionClock.Instant
  let logger: Logger
  let onStuckDuties: (@Sendable (FencingToken) -> Void)?
  let state: Mutex<State>
  let lease = Mutex<ElectionStateMachine.Lease?>(nil)
  let alarm = WakeUp()

  /// The node and its incarnation, under which it leads.
  public let session: NodeSession

  /// How the node takes part.
  public let configuration: ElectionConfiguration

  /// Makes an election; nothing happens until ``observe()`` or ``campaign(_:)`` is called.
  ///
  /// - Parameters:
  ///   - store: Where the record is kept.
  ///   - session: The node and its incarnation.
  ///   - configuration: How the node takes part.
  ///   - clock: What time is measured by; it has to go on while the machine sleeps.
  ///   - logger: Where terms, losses and faults are reported.
  ///   - onStuckDuties: Called when the duties of a term that ended have not ended within ``ElectionTimings/stopBudget``, beside the
  ///     report; it should do no more than end the process or set a flag.
  public init(
    store: Store, session: NodeSession, configuration: ElectionConfiguration = ElectionConfiguration(), clock: ElectionClock,
    logger: Logger = Logger(label: "parallax.election"), onStuckDuties: (@Sendable (FencingToken) -> Void)? = nil
  ) {
    self.store = store
    self.session = session
    self.configuration = configuration
    self.clock = clock
    self.onStuckDuties = onStuckDuties
    origin = clock.now
    var logger = logger
    logger[metadataKey: "node"] = "\(session.nodeID)"
    self.logger = logger
    state = Mutex(
      State(
        machine: ElectionStateMachine(session: session, configuration: configuration, needsBootstrapWait: store.needsBootstrapWait)))
  }

  /// Makes the election of a process that starts now, by the system's continuous clock.
  ///
  /// - Parameters:
  ///   - store: Where the record is kept.
  ///   - nodeID: The node's id, unique among the nodes of the election.
  ///   - configuration: How the node takes part.
  ///   - logger: Where terms, losses and faults are reported.
  public convenience init(
    store: Store, nodeID: String, configuration: ElectionConfiguration = ElectionConfiguration(),
    logger: Logger = Logger(label: "parallax.election")
  ) where ElectionClock == ContinuousClock {
    self.init(store: store, session: .starting(nodeID: nodeID), configuration: configuration, clock: ContinuousClock(), logger: logger)
  }

  // MARK: Looking

  /// Whether this node leads at this moment: its term is compared with the clock at each call.
  ///
  /// Cheap, and safe to call from any thread. The answer may be outdated by the time the caller acts: writes carry the ``fencingToken``.
  public var isLeader: Bool { fencingToken != nil }

  /// The fencing token of the term that this node leads at this moment, or `nil`.
  public var fencingToken: FencingToken? {
    guard let lease = lease.withLock({ $0 }), elapsed < lease.validUntil else { return nil }
    return lease.token
  }

  /// How the election stands, as this node sees it.
  public var status: ElectionStatus {
    let instant = elapsed
    return state.withLock { $0.machine.status(at: instant) }
  }

  /// The status now, and again whenever leader, term, pause or problem change; observing is not campaigning.
  ///
  /// - Returns: The statuses, for one consumer; who falls behind by more than 16 misses the oldest. It ends when the election does.
  public func changes() -> AsyncStream<ElectionStatus> {
    let (stream, continuation) = AsyncStream.makeStream(of: ElectionStatus.self, bufferingPolicy: .bufferingNewest(16))
    let instant = elapsed
    let id = state.withLock { state in
      state.lastID += 1
      state.observers[state.lastID] = continuation
      let status = state.machine.status(at: instant)
      if state.shown == nil { state.shown = status.withoutDurations }
      continuation.yield(status)
      return state.lastID
    }
    continuation.onTermination = { [weak self] _ in
      _ = self?.state.withLock { $0.observers.removeValue(forKey: id) }
    }
    return stream
  }

  // MARK: Taking part

  /// Sets where this node is reached, for a node that learns its address only after the election was made.
  ///
  /// The next write of the record has the address.
  ///
  /// - Parameter address: The address for other nodes and people, or `nil`.
  public func setAddress(_ address: String?) {
    process(.address(address))
  }

  /// Sets whether the node is fit to lead, or no other node is; `true` at first.
  ///
  /// A leader that is not fit hands over; a node that is not fit does not campaign.
  ///
  /// - Parameter isEligible: Whether the node may lead.
  public func setEligible(_ isEligible: Bool) {
    process(.eligibility(isEligible))
  }

  /// Gives up leadership for good: the body of ``campaign(_:)`` is cancelled and joined, the record is released, and `campaign(_:)`
  /// returns.
  ///
  /// Observing and requests go on. It returns when all that is done, or the store has not answered within two call time-outs, or the
  /// body has not ended within ``ElectionTimings/stopBudget``.
  public func resign() async {
    await withCheckedContinuation { continuation in
      var isOver = true
      update { state in
        guard state.driver != nil, !state.machine.isResigned else { return [] }
        isOver = state.machine.areDutiesStuck
        if !isOver { state.resigning.append(continuation) }
        return [.resign]
      }
      if isOver { continuation.resume() }
    }
  }

  /// Observes the election without campaigning: keeps ``status`` up to date, and carries out requests.
  ///
  /// A node that also campaigns calls ``campaign(_:)`` beside it; then observing goes on between two campaigns, and after ``resign()``.
  ///
  /// Returns on a graceful shutdown or when the task is cancelled, after a ``resign()``.
  public func observe() async {
    enter()
    try? await gracefulShutdown()
    await resign()
    await exit()
  }

  /// Campaigns, and runs a body while this node leads.
  ///
  /// When leadership is lost, the body is cancelled and joined, and the node campaigns again. When the body returns or throws by itself,
  /// the term is released and `campaign(_:)` returns or throws. ``observe()`` may run beside it, and need not.
  ///
  /// On cancellation, a graceful shutdown and ``resign()`` the body is cancelled and joined and the term released.
  ///
  /// A leader that does several things again and again has ``LeaderDuties`` run them as its body.
  ///
  /// - Parameter body: What to do as the leader; it has to end soon after it is cancelled, within ``ElectionTimings/stopBudget``.
  /// - Throws: What the body throws by itself; `CancellationError` if the task was cancelled; ``ElectionError`` with `alreadyRunning` if
  ///   the election has a body already.
  public func campaign(_ body: @escaping @Sendable (FencingToken) async throws -> Void) async throws {
    guard let wake = beginCampaign() else {
      throw ElectionError(.alreadyRunning, "this election has a body already; run all duties of a leader in one")
    }
    enter()
    let result = await withGracefulShutdownHandler {
      await runTerms(wake, body)
    } onGracefulShutdown: {
      self.process(.resign)
    }
    await exit()
    if let result { try result.get() } else { try Task.checkCancellation() }
  }
}
