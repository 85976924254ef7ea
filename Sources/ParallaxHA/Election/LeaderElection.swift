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
/// readings may differ by any amount), the election promises:
///
/// 1. At most one valid leader: the validity of any two terms does not overlap, not even across a loss of the store's data, as long as all
///    nodes have the same `leaseDuration`.
/// 2. Terms only grow, and each is granted once. (Only a loss of all data can undo this, if the next leader remembers no term
///    and its wall clock is behind the clock of the last terms.)
/// 3. A fenced write with an older term than an accepted one is rejected, whatever the clocks do; so is an equal term
///    of another incarnation. See ``FencingToken/admits(_:)``.
/// 4. No duty that honors cancellation runs outside its term: duties are cancelled and joined before the lease is released. A duty
///    that does not honor it is reported, and its lease is left to expire.
/// 5. A lost term is final: a late success never restores it; the node campaigns for a new one.
/// 6. Once the store and at least one healthy candidate can communicate, there is a leader within `leaseDuration`, a round trip and
///    some jitter, even while operators keep sending requests. No quorum of nodes is needed: the store decides.
/// 7. A loss of the store's data does not depose a healthy leader: it asserts its record again, with its term.
///
/// The election does not promise, and no election can:
///
/// - that side effects without a fencing token exclude each other when a process is paused between checking and acting;
/// - the same when a store that replicates asynchronously fails over and loses an acknowledged write: two nodes may then even
///   have been granted the same term, which is why a ``FencingToken`` has an incarnation.
///
/// In both cases, use the fencing token.
public final class LeaderElection<Store: ElectionStore, ElectionClock: Clock>: Sendable where ElectionClock.Duration == Duration {
  /// A call of `campaign(_:)` in progress.
  struct Campaign {
    /// Signaled when a term has begun or the campaign is over.
    let wake = WakeUp()
    /// A term whose duties have not begun.
    var pending: (token: FencingToken, stop: WakeUp)?
    /// Signaled when the current term has ended.
    var stop: WakeUp?
    var isOver = false
  }

  struct State {
    var machine: ElectionStateMachine
    /// The number of calls of `observe()` and `campaign(_:)` in progress: the first starts the driver, the last ends it.
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
    /// The due deliveries, and whether a caller is delivering.
    var deliveries: [@Sendable () -> Void] = []
    var isDelivering = false
  }

  let store: Store
  let clock: ElectionClock
  let origin: ElectionClock.Instant
  let logger: Logger
  let onStuckDuties: (@Sendable (FencingToken) -> Void)?
  let state: Mutex<State>
  let lease = Mutex<ElectionStateMachine.Lease?>(nil)
  let alarm = WakeUp()

  /// The node and its incarnation.
  public let session: NodeSession

  /// The settings of the node's part in the election.
  public let configuration: ElectionConfiguration

  /// Creates an election, which is idle until ``observe()`` or ``campaign(_:)`` is called.
  ///
  /// - Parameters:
  ///   - store: The store of the record.
  ///   - session: The node and its incarnation.
  ///   - configuration: The settings of the node's part in the election; the defaults of ``ElectionConfiguration`` by default.
  ///   - clock: The clock of the election, which must continue while the machine sleeps.
  ///   - logger: The logger of terms, losses and faults.
  ///   - onStuckDuties: Called when the duties of an ended term have not ended within ``ElectionTimings/stopBudget``, in addition to the
  ///     log entry; it should only end the process or set a flag.
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

  /// Creates the election of a process that starts now, on the system's continuous clock.
  ///
  /// - Parameters:
  ///   - store: The store of the record.
  ///   - nodeID: The node's id, unique among the nodes of the election.
  ///   - configuration: The settings of the node's part in the election; the defaults of ``ElectionConfiguration`` by default.
  ///   - logger: The logger of terms, losses and faults.
  public convenience init(
    store: Store, nodeID: String, configuration: ElectionConfiguration = ElectionConfiguration(),
    logger: Logger = Logger(label: "parallax.election")
  ) where ElectionClock == ContinuousClock {
    self.init(store: store, session: .starting(nodeID: nodeID), configuration: configuration, clock: ContinuousClock(), logger: logger)
  }

  // MARK: State

  /// Whether this node leads at this moment: each call compares its term with the clock.
  ///
  /// Cheap, and safe on any thread. The answer may be outdated when the caller acts, so writes carry the ``fencingToken``.
  public var isLeader: Bool { fencingToken != nil }

  /// The fencing token of the current term of this node, or `nil`.
  public var fencingToken: FencingToken? {
    guard let lease = lease.withLock({ $0 }), elapsed < lease.validUntil else { return nil }
    return lease.token
  }

  /// The state of the election, as this node sees it.
  public var status: ElectionStatus {
    let instant = elapsed
    return state.withLock { $0.machine.status(at: instant) }
  }

  /// The current status, and each change of leader, term, pause or problem; observing is not campaigning.
  ///
  /// - Returns: The statuses, for one consumer; a consumer that falls behind by more than 16 misses the oldest. The sequence ends with the
  ///   election.
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

  // MARK: Participation

  /// Sets the address of this node, if it is known only after the election was created.
  ///
  /// The next write of the record has the address.
  ///
  /// - Parameter address: The address for other nodes and people, or `nil`.
  public func setAddress(_ address: String?) {
    process(.address(address))
  }

  /// Sets whether the node may lead: it is fit to lead, or no other node is; initially `true`.
  ///
  /// An ineligible leader hands over; an ineligible node does not campaign.
  ///
  /// - Parameter isEligible: Whether the node may lead.
  public func setEligible(_ isEligible: Bool) {
    process(.eligibility(isEligible))
  }

  /// Gives up leadership for good: the body of ``campaign(_:)`` is cancelled and joined, the record is released, and `campaign(_:)`
  /// returns.
  ///
  /// Observing and requests continue. The call returns after these steps, or if the store has not answered within two call time-outs, or if
  /// the body has not ended within ``ElectionTimings/stopBudget``.
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

  /// Observes the election without campaigning: keeps ``status`` current, and carries out requests.
  ///
  /// A node that also campaigns calls ``campaign(_:)`` concurrently; observing then continues between two campaigns, and after
  /// ``resign()``.
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
  /// the term is released and `campaign(_:)` returns or throws. ``observe()`` may run concurrently, and need not.
  ///
  /// On cancellation, a graceful shutdown and ``resign()`` the body is cancelled and joined and the term released.
  ///
  /// A leader with several periodic tasks uses ``LeaderDuties`` as its body.
  ///
  /// - Parameter body: The leader's work; it must end within ``ElectionTimings/stopBudget`` after its cancellation.
  /// - Throws: The error that the body throws by itself; `CancellationError` if the task was cancelled; ``ElectionError`` with
  ///   `alreadyRunning` if the election already has a body.
  public func campaign(_ body: @escaping @Sendable (FencingToken) async throws -> Void) async throws {
    guard let wake = beginCampaign() else {
      throw ElectionError(.alreadyRunning, "this election already has a body; run all duties of a leader in one body")
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
