import ParallaxAPI
import ParallaxHA
import ParallaxState

/// The store of a simulated cluster: the one in memory, with members, a lease, tombstones, losses and refusals.
final class SimulatedStore {
  /// All that a failover gives back to an earlier state.
  private struct Contents {
    var state: InMemoryStateStore.Contents
    var members: [String: MemberRecord]
    var lease: (holder: NodeSession, renewed: Int64)?
    var barred: Set<String>
  }

  let state: InMemoryStateStore
  private(set) var members: [String: MemberRecord] = [:]
  private var lease: (holder: NodeSession, renewed: Int64)?
  /// What was given up before it was created, and may not come to be.
  private var barred: Set<String> = []
  private var replica: Contents?
  /// Until when it answers nobody.
  private(set) var awayUntil: Int64 = 0
  /// Until when it takes no writes.
  private(set) var refusesUntil: Int64 = 0
  /// Between which instants it lost what it was told.
  private var losses: [(from: Int64, to: Int64)] = []

  private static let leaseDuration = Int64.seconds(15)

  init(clock: @escaping @Sendable () -> Timestamp) {
    state = InMemoryStateStore(now: clock)
  }

  // MARK: Faults

  /// A replica stands still from here on.
  func halt(at now: Int64) {
    replica = Contents(state: state.contents, members: members, lease: lease, barred: barred)
    losses.append((now, .max))
  }

  /// The replica that stood still takes over.
  func failOver(at now: Int64, awayFor time: Int64) {
    guard let replica else { return }
    lose(replica, at: now)
    awayUntil = now + time
  }

  /// FLUSHALL.
  func flush(at now: Int64) {
    losses.append((0, now))
    lose(Contents(state: InMemoryStateStore.Contents(), members: [:], lease: nil, barred: []), at: now)
  }

  /// The replica that stood still goes on following.
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

  func refuse(until end: Int64) { refusesUntil = max(refusesUntil, end) }

  func heal(at now: Int64) {
    (awayUntil, refusesUntil) = (min(awayUntil, now), min(refusesUntil, now))
    follow()
  }

  /// Whether what was put into an inbox then is not there any more.
  func hasLost(_ instant: Int64) -> Bool { losses.contains { $0.to != .max && $0.from <= instant && instant < $0.to } }

  // MARK: Executions

  func create(_ stored: StoredExecution) -> CreateOutcome {
    barred.contains(stored.execution.id) ? .barred : state.create(stored)
  }

  func restore(_ stored: StoredExecution, as claim: RestorationClaim) -> RestoreOutcome {
    barred.contains(stored.execution.id) ? .barred : state.restore(stored, as: claim)
  }

  func claim(_ id: String, from former: NodeSession, isGone: Bool, to session: NodeSession) -> StoredExecution? {
    if isGone, state.execution(id) == nil { barred.insert(id) }
    return state.claim(id, from: former, isGone: isGone, to: session)
  }

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

  /// Takes or renews the lease; false while another holds it.
  func lead(_ session: NodeSession, at now: Int64) -> Bool {
    if let lease, lease.holder != session, now - lease.renewed < Self.leaseDuration { return false }
    lease = (session, now)
    return true
  }

  func resign(_ session: NodeSession) {
    if lease?.holder == session { lease = nil }
  }
}
