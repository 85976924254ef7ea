#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// Decides when a node campaigns, leads, renews, stops and releases.
///
/// The machine is a value without clock, store, randomness or tasks: it takes events with their instants and returns actions, and
/// ``wakeUp`` is the instant of the next ``Event/timer``. At most one call to the store is in progress at a time.
package struct ElectionStateMachine: Sendable {
  /// The node's knowledge of the record.
  enum Knowledge: Sendable {
    case unknown
    case unreadable
    case absent
    case present(ElectionSnapshot)
  }

  /// The validity of the term that the node holds.
  package struct Lease: Sendable, Hashable {
    package var token: FencingToken
    package var validUntil: Duration
  }

  struct Leadership: Sendable {
    var lease: Lease
    /// The last known version of the node's own record.
    var record: ElectionRecord
    var nextRenewal: Duration
    /// The number of attempts, acknowledged or not: no two writes have the same renewal count.
    var renewals: Int64
  }

  struct Stopping: Sendable {
    var token: FencingToken
    var end: TermEnd
    /// The version to release after the duties have ended; nil if it must be read first.
    var held: ElectionSnapshot?
    var isStuckAt: Duration
    var isReported = false
  }

  enum Role: Sendable {
    /// The node observes, and takes over at its turn. Exits to leading, or to releasing when the record names the node.
    case standby
    /// The node holds the lease. Exits to stopping.
    case leading(Leadership)
    /// The duties are being cancelled and joined. Exits to releasing, or to standby when the lease was lost.
    case stopping(Stopping)
    /// The record names the node, which does not lead. Exits to standby.
    case releasing
  }

  /// The renewal from which a standby measures its patience, and the instant of its first receipt.
  struct Patience: Sendable, Equatable {
    var incarnation = ""
    var term: Int64 = -1
    var renewalCount: Int64 = -1
    var isBootstrap = false
    var since: Duration = .zero
  }

  struct ReceivedHold: Sendable {
    var id: String
    var receivedAt: Duration
  }

  package let session: NodeSession
  var configuration: ElectionConfiguration
  let bootstrapWait: Duration?
  let rankDelay: Duration
  var timings: ElectionTimings { configuration.timings }

  // Role and intent.
  var role = Role.standby
  var isStarted = false
  var isCandidate = false
  var isEligible = true
  var resignDeadline: Duration?
  var isResigned = false

  // Knowledge of the record.
  var knowledge = Knowledge.unknown
  package internal(set) var lastRecord: ElectionRecord?
  var lastAnswerAt: Duration?
  /// Whether a hint has changed the known record since the last call was sent.
  var hasHintSinceCall = false
  var patience = Patience()
  var reservation: ReceivedHold?
  var cooldown: ReceivedHold?
  /// Whether the node has seen a record of its cluster other than a bootstrap record.
  var hasHistory = false
  var longestLease: Duration = .zero
  var highestTerm: Int64 = 0
  var highestSequence: Int64 = 0
  /// The reason of the last attempt to acquire the record.
  var takeover = Takeover(cause: .bootstrap, silence: .zero)
  /// Whether the store may contain an acquisition of this node, which does not lead.
  var mayHold = false

  // Calls and notices.
  package internal(set) var call: Call?
  var calls: UInt64 = 0
  var needsRead = false
  var retryAt: Duration = .zero
  var nextPoll: Duration = .zero
  var jitterState: UInt64
  var notices = NoticeMemory()
  var now = Moment(instant: .zero, wall: Date(timeIntervalSince1970: 0))
  var output: [Action] = []

  /// Creates the machine of a node that does not know the record.
  ///
  /// - Parameters:
  ///   - session: The node and its incarnation.
  ///   - configuration: The settings of the node's part in the election.
  ///   - needsBootstrapWait: Whether the store may have lost the record of a living leader.
  package init(
    session: NodeSession, configuration: ElectionConfiguration, needsBootstrapWait: Bool = true
  ) {
    self.session = session
    self.configuration = configuration
    bootstrapWait = needsBootstrapWait ? configuration.bootstrapWait : .zero
    rankDelay = Self.rankDelay(of: session.nodeID, configuration)
    jitterState = Self.hash(session.description)
  }

  // MARK: For the driver

  /// The lease, while the node leads; the caller compares `validUntil` with the clock at each use.
  package var lease: Lease? {
    if case .leading(let leadership) = role { leadership.lease } else { nil }
  }

  /// Whether the node neither holds the record nor has one to release.
  package var isSettled: Bool {
    if case .standby = role { true } else { false }
  }

  /// Whether the record may name this node, as far as the node knows.
  var mayHoldRecord: Bool { !isSettled || mayHold || call?.purpose == .acquire }

  /// Whether the duties of an ended term are reported as stuck and still run.
  var areDutiesStuck: Bool {
    if case .stopping(let stopping) = role { stopping.isReported } else { false }
  }

  /// Whether the node has nothing to do before time passes; a call that does not hang, and duties that are about to end, count as something
  /// to do.
  func isWaiting(at instant: Duration, inHungCall isHung: Bool) -> Bool {
    if case .stopping(let stopping) = role, !stopping.isReported { return false }
    guard call == nil || isHung else { return false }
    return wakeUp.map { $0 > instant } ?? true
  }

  /// The instant of the next ``Event/timer``, unless another event precedes it; nil for none.
  package var wakeUp: Duration? {
    guard isStarted else { return nil }
    let next = call.map { $0.sentAt + timings.callTimeout }
    switch role {
    case .standby:
      let own = next.map { call?.purpose == .read ? min($0, turn ?? $0) : $0 } ?? standbyWakeUp
      return resignDeadline.map { min($0, own) } ?? own
    case .leading(let leadership):
      return min(leadership.lease.validUntil, next ?? leaderWakeUp(leadership))
    case .stopping(let stopping):
      let stuck = stopping.isReported ? nil : stopping.isStuckAt
      return stuck.map { min($0, next ?? $0) } ?? next
    case .releasing:
      return next ?? retryAt
    }
  }

  /// Handles an event.
  ///
  /// - Parameters:
  ///   - event: The event.
  ///   - now: The readings of the clocks, never earlier than at the previous event; calls among the actions are sent later.
  /// - Returns: The actions, in order.
  package mutating func handle(_ event: Event, at now: Moment) -> [Action] {
    self.now = now
    output.removeAll(keepingCapacity: true)
    expireLease()
    take(event)
    proceed()
    finishResigning()
    return output
  }

  private mutating func take(_ event: Event) {
    switch event {
    case .start: start()
    case .timer: expireCall()
    case .reply(let id, let reply): take(reply, to: id)
    case .hint(let snapshot): takeHint(snapshot)
    case .candidacy(let isCandidate):
      self.isCandidate = isCandidate
      if !isCandidate { stop(.withdrawn) }
    case .eligibility(let isEligible):
      self.isEligible = isEligible
      if !isEligible { stop(.ineligible) }
    case .address(let address): configuration.address = address
    case .dutiesJoined: joinDuties()
    case .resign:
      guard resignDeadline == nil, !isResigned else { return }
      resignDeadline = now.instant + timings.callTimeout * 2
      stop(.resigned)
    }
  }

  private mutating func start() {
    isStarted = true
    isResigned = false
    resignDeadline = nil
    role = .standby
    knowledge = .unknown
    call = nil
    needsRead = true
    retryAt = now.instant
    nextPoll = now.instant
  }

  /// Takes the next step that is due, if no call is in progress.
  private mutating func proceed() {
    guard isStarted else { return }
    if case .standby = role, call?.purpose == .read, let turn, now.instant >= turn {
      // A read that hangs must not delay a takeover.
      call = nil
    }
    guard call == nil else { return }
    switch role {
    case .standby: proceedAsStandby()
    case .leading: proceedAsLeader()
    case .releasing: release()
    case .stopping(var stopping):
      guard !stopping.isReported, now.instant >= stopping.isStuckAt else { return }
      stopping.isReported = true
      role = .stopping(stopping)
      output.append(.notice(.dutiesStuck(stopping.token)))
    }
  }

  private mutating func finishResigning() {
    guard let resignDeadline, case .standby = role else { return }
    let isInFlight = call?.purpose == .acquire
    guard (!mayHold && !isInFlight) || now.instant >= resignDeadline else { return }
    self.resignDeadline = nil
    isResigned = true
    output.append(.resigned)
  }

  // MARK: Calls

  mutating func send(_ purpose: Call.Purpose, _ record: ElectionRecord? = nil, expecting: ElectionVersion? = nil) {
    calls += 1
    let call = Call(id: calls, purpose: purpose, record: record, expecting: expecting, sentAt: now.instant)
    if let record {
      highestSequence = max(highestSequence, record.sequence)
      highestTerm = max(highestTerm, record.term)
    }
    if purpose == .acquire { mayHold = true }
    hasHintSinceCall = false
    self.call = call
    output.append(.send(call))
  }

  mutating func read() {
    needsRead = false
    nextPoll = now.instant + timings.retryPeriod * jitter()
    send(.read)
  }

  private mutating func expireCall() {
    guard let call, now.instant >= call.sentAt + timings.callTimeout else { return }
    settle(call, .failed)
  }

  /// Only the reply to the current call counts; the outcome of every earlier call has counted as unknown since its time-out.
  private mutating func take(_ reply: Reply, to id: UInt64) {
    guard let call, call.id == id else { return }
    settle(call, reply)
  }

  private mutating func settle(_ call: Call, _ reply: Reply) {
    self.call = nil
    switch reply {
    case .failed:
      if !notices.storeFailed { output.append(.notice(.storeFailed)) }
      notices.storeFailed = true
      settleUnknown(call)
      return
    case .refused(let reason):
      hearFromStore()
      if notices.refusal?.reason != reason { output.append(.notice(.storeRefusesWrites(reason: reason))) }
      notices.refusal = (reason, call.expecting)
      settleUnknown(call)
      return
    case .unreadable:
      lastAnswerAt = now.instant
      knowledge = .unreadable
      noticeUnreadable()
      needsRead = true
      retryAt = call.sentAt + retryDelay
      if case .releasing = role { role = .standby }
      return
    case .read(let snapshot), .conflict(let snapshot):
      hearFromStore()
      if call.purpose != .read || isByAnother(snapshot) { storeTookWrite() }
      if isOvertaken(snapshot) { needsRead = true } else { observe(snapshot) }
      if case .releasing = role, !isOwn(knowledge) { role = .standby }
    case .written(let version):
      hearFromStore()
      storeTookWrite()
      guard let record = call.record else { return }
      acknowledge(call, ElectionSnapshot(record: record, version: version))
    }
    retryAt = now.instant
  }

  private mutating func settleUnknown(_ call: Call) {
    needsRead = true
    retryAt = call.sentAt + retryDelay
    if call.purpose != .read { knowledge = .unknown }
    if case .leading = role { knowledge = .unknown }
    if case .releasing = role { role = .standby }
  }

  private mutating func acknowledge(_ call: Call, _ snapshot: ElectionSnapshot) {
    switch call.purpose {
    case .read: preconditionFailure("the reply to a read is a write's")
    case .bootstrap: if isOvertaken(snapshot) { needsRead = true } else { observe(snapshot) }
    case .acquire: acquired(snapshot, sentAt: call.sentAt)
    case .renew, .reassert: renewed(snapshot, sentAt: call.sentAt)
    case .release:
      if isOvertaken(snapshot) { needsRead = true } else { observe(snapshot) }
      role = .standby
      output.append(.notice(.released(snapshot.record.fencingToken)))
    }
  }

  private mutating func hearFromStore() {
    lastAnswerAt = now.instant
    if notices.storeFailed {
      notices.storeFailed = false
      output.append(.notice(.storeAnswers))
    }
  }

  /// Whether another node has written since the store refused a write.
  private func isByAnother(_ snapshot: ElectionSnapshot?) -> Bool {
    guard let refusal = notices.refusal, let snapshot else { return false }
    return snapshot.version != refusal.version && snapshot.record.incarnation != session.incarnation
  }

  private mutating func storeTookWrite() {
    guard notices.refusal != nil else { return }
    notices.refusal = nil
    output.append(.notice(.storeTakesWrites))
  }

  // MARK: Jitter

  /// The wait between a failed call and the next call, shorter while the node holds a lease.
  private var retryDelay: Duration {
    if case .leading = role { timings.retryPeriod / 4 } else { timings.retryPeriod }
  }

  /// A factor from 1 to 1.2, from a sequence that differs between nodes.
  mutating func jitter() -> Double {
    jitterState &+= 0x9E37_79B9_7F4A_7C15
    var value = jitterState
    value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
    value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
    value ^= value >> 31
    return 1 + 0.2 * Double(value >> 11) / Double(1 << 53)
  }

  /// FNV-1a with a final mix: unlike `Hasher`, the same on every node and in every process.
  static func hash(_ text: String) -> UInt64 {
    var hash: UInt64 = 0xCBF2_9CE4_8422_2325
    for byte in text.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
    hash = (hash ^ (hash >> 33)) &* 0xFF51_AFD7_ED55_8CCD
    return hash ^ (hash >> 33)
  }
}
