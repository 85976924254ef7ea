#if canImport(FoundationEssentials)
package import FoundationEssentials
#else
package import Foundation
#endif

/// Judges the members of a cluster by the writes and reads of one node.
///
/// The judge is a value without clock: every `now` is the time on the node's own continuous clock since a fixed instant. It uses no other
/// clock, so a wall clock that jumps has no effect.
package struct MembershipJudge: Sendable {
  private struct Member {
    var record: MemberRecord
    /// The last observed change of (incarnation, sequence).
    let lastSeen: Duration
    /// The beginning of the counted silence: `lastSeen`, or later if the member was granted another full window.
    var patientSince: Duration
    var isAlive: Bool

    init(_ record: MemberRecord, at instant: Duration) {
      self.record = record
      isAlive = record.end == nil
      lastSeen = instant
      patientSince = instant
    }
  }

  private enum OwnField {
    /// Not written; `former` is the session that holds the field.
    case joining(former: MemberRecord?)
    case held
    case lost(to: MemberRecord)
  }

  private let session: NodeSession
  private let settings: MembershipSettings
  private var ownField = OwnField.joining(former: nil)
  private var hasJoined = false
  /// The members by id, including the node itself.
  private var members: [String: Member]
  private var claims = LeadershipClaims()
  private var unreadable: [String: String] = [:]

  /// The instant at which the last acknowledged write was sent, or the judge was created.
  private var lastWrite: Duration
  private var isReportedCutOff = false
  private var lastRead: Duration?
  private var lastReadFailed = false
  /// Until when a missing field may be due to a loss of the store's data instead of a departure.
  private var absenceGrace = Duration.zero

  /// Creates a judge that knows only the node itself.
  ///
  /// - Parameters:
  ///   - record: The node's record.
  ///   - settings: The limits of silence.
  ///   - now: The time on the node's own clock.
  package init(record: MemberRecord, settings: MembershipSettings, now: Duration) {
    session = record.session
    self.settings = settings
    members = [record.id: Member(record, at: now)]
    lastWrite = now
  }

  // MARK: The node's own field

  /// Sets the node's address for the view before the first write.
  package mutating func setAddress(_ address: String) {
    guard let own = members[session.nodeID] else { return }
    var record = own.record
    record.address = address
    members[session.nodeID] = Member(record, at: own.lastSeen)
  }

  /// The former session of this node that the next write replaces.
  package var replacedIncarnation: String? {
    guard case .joining(let former) = ownField else { return nil }
    return former?.incarnation
  }

  /// The process that took this node's field; final.
  package var twin: MemberRecord? {
    guard case .lost(let other) = ownField else { return nil }
    return other
  }

  /// Whether other nodes may be taking over this node's work: it has not written for the detection window, or lost its field.
  package func isCutOff(now: Duration) -> Bool {
    twin != nil || now - lastWrite >= settings.detectionWindow
  }

  /// Handles the store's answer to a write.
  ///
  /// - Parameters:
  ///   - record: The record of the write.
  ///   - outcome: The answer.
  ///   - sentAt: The instant of the send, before which no node can have seen the record.
  ///   - now: The instant of the answer.
  /// - Returns: The resulting events.
  package mutating func wrote(_ record: MemberRecord, _ outcome: MemberWriteOutcome, sentAt: Duration, now: Duration) -> [MembershipEvent] {
    switch (outcome, ownField) {
    case (_, .lost): return []
    case (.twin(let other), .joining):
      ownField = .joining(former: other)
      return []
    case (.twin(let other), .held): return meet(other)
    case (_, .joining(let former)):
      ownField = .held
      // The time before the first write is no silence.
      if !hasJoined { lastWrite = max(lastWrite, sentAt) }
      hasJoined = true
      let events = acknowledge(record, sentAt: sentAt)
      // An earlier attempt of unknown outcome may already have replaced the former session, so the answer does not matter.
      guard let former else { return events }
      return events + [.restarted(record, former: former.session)]
    case (.added, .held):
      // The field was removed: a store that lost its data has lost the fields of the other nodes too.
      absenceGrace = now + settings.detectionWindow
      grantFullWindow(now: now)
      return acknowledge(record, sentAt: sentAt)
    case (.renewed, .held), (.replaced, .held): return acknowledge(record, sentAt: sentAt)
    }
  }

  /// Checks whether this node is cut off; called after a failed write.
  package mutating func check(now: Duration) -> [MembershipEvent] {
    guard twin == nil, !isReportedCutOff, isCutOff(now: now) else { return [] }
    isReportedCutOff = true
    return [.cutOff]
  }

  private mutating func acknowledge(_ record: MemberRecord, sentAt: Duration) -> [MembershipEvent] {
    // A paused process could not detect in time that it was cut off.
    let events = sentAt - lastWrite >= settings.detectionWindow && !isReportedCutOff ? [MembershipEvent.cutOff] : []
    members[record.id] = Member(record, at: sentAt)
    lastWrite = sentAt
    guard isReportedCutOff || !events.isEmpty else { return [] }
    isReportedCutOff = false
    return events + [.reconnected]
  }

  /// Handles another incarnation in the field that this one held.
  ///
  /// One whose end is proven is a former life, in a store that has lost this node's writes; the next write takes the field again.
  private mutating func meet(_ other: MemberRecord) -> [MembershipEvent] {
    guard other.end == nil else {
      ownField = .joining(former: other)
      return []
    }
    ownField = .lost(to: other)
    return [.twin(other)]
  }

  // MARK: The other members

  /// Handles a failed read, which says nothing about any member.
  package mutating func readFailed() {
    lastReadFailed = true
  }

  /// Handles a read.
  package mutating func read(_ snapshot: MembershipSnapshot, now: Duration) -> [MembershipEvent] {
    // A longer gap means that this process was paused or the store unavailable: silence in the gap does not count.
    if let lastRead, now - lastRead > settings.checkInterval * 2 { grantFullWindow(now: now) }
    lastRead = now
    lastReadFailed = false
    unreadable = snapshot.unreadable
    claims.read(snapshot.records)

    var events: [MembershipEvent] = []
    var present: Set<String> = Set(snapshot.unreadable.keys)
    for record in snapshot.records.sorted(by: { $0.id < $1.id }) {
      present.insert(record.id)
      events += record.id == session.nodeID ? judgeOwn(record) : judge(record, now: now)
    }
    if case .held = ownField, !present.contains(session.nodeID) {
      absenceGrace = now + settings.detectionWindow
      grantFullWindow(now: now)
    }
    for id in members.keys.sorted() where !present.contains(id) && id != session.nodeID { events += judgeAbsent(id, now: now) }
    for id in unreadable.keys.sorted() where id != session.nodeID { events += judgeSilent(id, now: now) }
    return events
  }

  private mutating func grantFullWindow(now: Duration) {
    for id in members.keys { members[id]?.patientSince = now }
  }

  private mutating func judgeOwn(_ record: MemberRecord) -> [MembershipEvent] {
    guard case .held = ownField, record.incarnation != session.incarnation else { return [] }
    return meet(record)
  }

  private mutating func judge(_ record: MemberRecord, now: Duration) -> [MembershipEvent] {
    guard let known = members[record.id] else {
      members[record.id] = Member(record, at: now)
      return record.end == nil ? [.joined(record)] : [.joined(record), .ended(record)]
    }
    if known.record.incarnation == record.incarnation, known.record.sequence >= record.sequence {
      return record.end == nil ? judgeSilent(record.id, now: now) : judgeEnded(record)
    }
    members[record.id] = Member(record, at: now)
    var events: [MembershipEvent] = []
    if known.record.incarnation != record.incarnation { events.append(.restarted(record, former: known.record.session)) }
    if record.end != nil { return events + [.ended(record)] }
    if !known.isAlive { events.append(.becameHealthy(record)) }
    return events
  }

  /// The proof concerns the incarnation, whichever of its heartbeats the mark stands beside.
  private mutating func judgeEnded(_ record: MemberRecord) -> [MembershipEvent] {
    guard members[record.id]?.record.end == nil else { return [] }
    members[record.id]?.record.end = record.end
    members[record.id]?.isAlive = false
    return [.ended(record)]
  }

  private mutating func judgeSilent(_ id: String, now: Duration) -> [MembershipEvent] {
    guard let member = members[id], member.isAlive else { return [] }
    let window = max(settings.checkInterval, member.record.checkInterval) * settings.unhealthyThreshold
    guard now - member.patientSince >= window else { return [] }
    members[id]?.isAlive = false
    return [.becameUnhealthy(member.record)]
  }

  private mutating func judgeAbsent(_ id: String, now: Duration) -> [MembershipEvent] {
    guard now >= absenceGrace, let member = members.removeValue(forKey: id) else { return [] }
    return [.left(member.record)]
  }
}

// MARK: The view

extension MembershipJudge {
  /// The members at this moment.
  ///
  /// - Parameters:
  ///   - now: The time on the node's own clock.
  ///   - asOf: The last read of the members by the wall clock.
  /// - Returns: All known members.
  package func view(now: Duration, asOf: Date?) -> MembershipView {
    func isAlive(_ member: Member) -> Bool {
      member.record.id == session.nodeID ? !isCutOff(now: now) : member.isAlive
    }
    let leaders = claims.believed { members[$0].map(isAlive) ?? false }
    let all = members.values.sorted { $0.record.id < $1.record.id }.map { member in
      MembershipView.Member(
        record: member.record, isAlive: isAlive(member), lastSeen: max(.zero, now - member.lastSeen),
        isLeader: leaders.contains(member.record.id))
    }
    let isOverdue = lastRead.map { now - $0 > settings.checkInterval * 2 } ?? true
    return MembershipView(members: all, unreadable: unreadable, isStale: lastReadFailed || isOverdue, asOf: asOf)
  }
}
