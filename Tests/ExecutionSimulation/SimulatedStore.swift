import ParallaxAPI
import ParallaxHA
import ParallaxState

/// The store of a simulated cluster: the in-memory store with members, a lease, tombstones, losses and refusals.
final class SimulatedStore {
  /// The contents that a failover returns to an earlier state.
  private struct Contents {
    var state: InMemoryStateStore.Contents
    var members: [String: MemberRecord]
    var lease: (holder: NodeSession, renewed: Int64)?
    var barred: Set<String>
  }

  let state: InMemoryStateStore
  private(set) var members: [String: MemberRecord] = [:]
  private var lease: (holder: NodeSession, renewed: Int64)?
  /// The executions barred before their creation, which must not be created.
  private var barred: Set<String> = []
  private var replica: Contents?
  /// The time until which the store does not answer.
  private(set) var awayUntil: Int64 = 0
  /// The time until which the store refuses writes.
  private(set) var refusesUntil: Int64 = 0
  /// The number of executions that fill the memory of the store; nil without a bound.
  var capacity: Int?
  /// Whether a scenario has the part of the store away that keeps the agents.
  var refusesAgents = false
  /// The intervals whose writes the store has lost.
  private var losses: [(from: Int64, to: Int64)] = []

  private static let leaseDuration = Int64.seconds(15)

  init(clock: @escaping @Sendable () -> Timestamp) {
    state = InMemoryStateStore(now: clock)
  }

  // MARK: Faults

  /// Halts the replication to a replica.
  func halt(at now: Int64) {
    replica = Contents(state: state.contents, members: members, lease: lease, barred: barred)
    losses.append((now, .max))
  }

  /// Makes the halted replica the master.
  func failOver(at now: Int64, awayFor time: Int64) {
    guard let replica else { return }
    lose(replica, at: now)
    awayUntil = now + time
  }

  /// Removes all contents, as FLUSHALL does.
  func flush(at now: Int64) {
    losses.append((0, now))
    lose(Contents(state: InMemoryStateStore.Contents(), members: [:], lease: nil, barred: []), at: now)
  }

  /// Resumes the replication to the halted replica.
  func follow() {
    guard replica != nil else { return }
    replica = nil
    losses.removeLast()
  }

  private func lose(_ contents: Contents, at now: Int64) {
    state.contents = contents.state
    (members, lease, barred) = (contents.members, contents.lease, contents.barred)
    replica = nil
    if let last = losses.indices.last { losses[last].to = now }
  }

  /// Whether the memory of the store is full.
  var isFull: Bool {
    guard let capacity else { return false }
    return state.executions(ExecutionQuery(limit: .max)).executions.count >= capacity
  }

  func refuses(_ need: SimulatedNode.Need, at now: Int64) -> Bool { need != .reading && now < refusesUntil || need == .write && isFull }

  func refuse(until end: Int64) { refusesUntil = max(refusesUntil, end) }

  func heal(at now: Int64) {
    (awayUntil, refusesUntil) = (min(awayUntil, now), min(refusesUntil, now))
    follow()
  }

  /// Whether the store has lost the messages sent at an instant.
  func hasLost(_ instant: Int64) -> Bool { losses.contains { $0.to != .max && $0.from <= instant && instant < $0.to } }

  // MARK: Executions

  func create(_ stored: StoredExecution) -> CreateOutcome {
    barred.contains(stored.execution.id) ? .barred : state.create(stored)
  }

  /// Adds an execution that ended long ago.
  func addEnded(_ id: String, at instant: Timestamp) {
    let pattern = PatternDefinition(name: "p", agents: AgentRequirement(capabilities: ["text"], min: 1, max: 1))
    var execution = Execution(
      id: id, pattern: pattern, input: .null, createdAt: instant, deadline: instant,
      owner: NodeSession(nodeID: "gone", incarnation: "0"))
    (execution.status, execution.completedAt) = (.failed, instant)
    _ = state.create(StoredExecution(execution: execution, tasks: []))
  }

  func restore(_ stored: StoredExecution, as claim: RestorationClaim, acknowledged: Set<String> = []) -> RestoreOutcome {
    barred.contains(stored.execution.id) ? .barred : state.restore(stored, as: claim, acknowledged: acknowledged)
  }

  func claim(_ id: String, from former: NodeSession, isGone: Bool, to session: NodeSession) -> StoredExecution? {
    if isGone, state.execution(id) == nil { barred.insert(id) }
    return state.claim(id, from: former, isGone: isGone, to: session)
  }

  /// Registers an agent; returns its epoch, nil if the part of the agents is away.
  func register(_ record: AgentRecord) -> Int64? { refusesAgents ? nil : state.register(record) }

  // MARK: Members

  func write(_ record: MemberRecord, replacing former: String?) -> MemberWriteOutcome {
    let present = members[record.id]
    if let present, present.incarnation != record.incarnation, present.incarnation != former { return .twin(present) }
    members[record.id] = record
    guard let present else { return .added }
    return present.incarnation == record.incarnation ? .renewed : .replaced
  }

  func removeMember(_ session: NodeSession) {
    if members[session.nodeID]?.incarnation == session.incarnation { members[session.nodeID] = nil }
  }

  /// Acquires or renews the lease; returns false while another session holds it.
  func lead(_ session: NodeSession, at now: Int64) -> Bool {
    if let lease, lease.holder != session, now - lease.renewed < Self.leaseDuration { return false }
    lease = (session, now)
    return true
  }

  func resign(_ session: NodeSession) {
    if lease?.holder == session { lease = nil }
  }
}
