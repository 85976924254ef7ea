import Foundation
import ParallaxTesting

@testable import ParallaxHA

/// Applies a wrong rule to a simulated cluster.
///
/// The rule acts from outside, on the inputs, the state or the outputs of the machine, which has no branch for it.
struct WrongRules: ElectionDefect {
  typealias Machine = ElectionStateMachine

  let rule: WrongRule
  /// The renewal in progress at the end of its term, for ``WrongRule/lateSuccessRevives``.
  private var lateRenewal: Machine.Call?

  init(_ rule: WrongRule) {
    self.rule = rule
  }

  mutating func handle(_ event: Machine.Event, at now: Machine.Moment, by machine: inout Machine) -> [Machine.Action] {
    switch rule {
    case .validityFromReply: Self.countFromReply(event, at: now, by: &machine)
    case .readSettlesUnknown: machine.handle(Self.settlement(by: event, at: now, of: &machine), at: now)
    case .lateSuccessRevives: revive(event, at: now, by: &machine)
    case .releaseBeforeJoin: Self.releaseEarly(event, at: now, by: &machine)
    case .patienceByOwnLease: machine.handle(Self.withLease(machine.timings.leaseDuration, event), at: now)
    case .patienceByVersion: Self.restartPatience(event, at: now, by: &machine)
    case .acquireOverAbsent: Self.replaceBootstrap(event, at: now, by: &machine, Self.acquisition)
    case .reassertSameBytes: Self.replaceBootstrap(event, at: now, by: &machine, Self.repetition)
    case .electSkipsPatience: Self.skipPatience(event, at: now, by: &machine)
    case .termFromRecordAlone: Self.forgetTerms(event, at: now, by: &machine)
    case .patienceByWallClock: Self.timeByWallClock(event, at: now, by: &machine)
    case .releaseWithoutCompare, .requestCreatesRecord, .fenceByTermAlone, .noticeOnSilence, .noticeForAnyIncarnation, .blindNotice,
      .noSecondLook, .noticeLowersTerm, .noticeRaisesTerm:
      machine.handle(event, at: now)
    }
  }

  func apply(
    _ command: ElectionCommand, to record: ElectionRecord?, id: String, clusterID: String, timings: ElectionTimings
  ) throws(ElectionError) -> ElectionRecord? {
    if rule == .requestCreatesRecord, record == nil {
      return ElectionRecord(clusterID: clusterID, leader: nil, incarnation: id, term: 0, leaseDuration: timings.leaseDuration)
    }
    return try command.apply(to: record, id: id, clusterID: clusterID, timings: timings)
  }

  func isUnconditional(_ call: Machine.Call) -> Bool {
    rule == .releaseWithoutCompare && call.purpose == .release
  }

  func admits(_ token: FencingToken, after accepted: FencingToken) -> Bool {
    rule == .fenceByTermAlone ? token.term >= accepted.term : accepted.admits(token)
  }
}

// MARK: Witnesses

extension WrongRules {
  var takesSilenceForDeath: Bool { rule == .noticeOnSilence }

  var isNoticeBlind: Bool { rule == .blindNotice }

  var looksAgain: Bool { rule != .noSecondLook }

  /// Shows a witness its own process in the records of later ones.
  func shown(_ snapshot: ElectionSnapshot?, toWitnessOf session: NodeSession) -> ElectionSnapshot? {
    guard rule == .noticeForAnyIncarnation, var snapshot, snapshot.record.leader == session.nodeID else { return snapshot }
    snapshot.record.incarnation = session.incarnation
    return snapshot
  }

  func noticed(_ record: ElectionRecord) -> ElectionRecord {
    var record = record
    switch rule {
    case .noticeLowersTerm: record.term -= 1
    case .noticeRaisesTerm: record.term += 1
    default: break
    }
    return record
  }
}

// MARK: Leading

extension WrongRules {
  private static func countFromReply(
    _ event: Machine.Event, at now: Machine.Moment, by machine: inout Machine
  ) -> [Machine.Action] {
    let isAcknowledged = if case .reply(let id, .written) = event { machine.call?.id == id } else { false }
    let actions = machine.handle(event, at: now)
    if isAcknowledged, case .leading(var leadership) = machine.role {
      leadership.lease.validUntil = now.instant + machine.timings.renewDeadline
      machine.role = .leading(leadership)
    }
    return actions
  }

  /// Turns the answer to a read that shows the node's own incarnation into the answer to the lost write.
  private static func settlement(by event: Machine.Event, at now: Machine.Moment, of machine: inout Machine) -> Machine.Event {
    guard case .reply(let id, .read(let snapshot?)) = event, let call = machine.call, call.id == id, machine.isOwn(.present(snapshot)),
      now.instant < call.sentAt + machine.timings.renewDeadline
    else { return event }
    switch machine.role {
    case .leading: machine.call?.purpose = .renew
    case .standby where machine.mayHold: machine.call?.purpose = .acquire
    case .standby, .stopping, .releasing: return event
    }
    machine.call?.record = snapshot.record
    return .reply(id, .written(snapshot.version))
  }

  /// Keeps a renewal in progress at the end of its term, and treats its success as an acquisition.
  private mutating func revive(_ event: Machine.Event, at now: Machine.Moment, by machine: inout Machine) -> [Machine.Action] {
    if case .reply(let id, .written) = event, let call = machine.call, call.id == id, call.id == lateRenewal?.id {
      machine.role = .standby
      machine.call?.purpose = .acquire
      lateRenewal = nil
      return machine.handle(event, at: now)
    }
    let call = machine.call
    let actions = machine.handle(event, at: now)
    if let call, call.purpose == .renew || call.purpose == .reassert, now.instant < call.sentAt + machine.timings.callTimeout,
      actions.contains(where: \.endsTerm), machine.call == nil
    {
      machine.call = call
      lateRenewal = call
    }
    return actions
  }

  private static func releaseEarly(
    _ event: Machine.Event, at now: Machine.Moment, by machine: inout Machine
  ) -> [Machine.Action] {
    let actions = machine.handle(event, at: now)
    guard actions.contains(where: \.endsTerm), case .stopping(let stopping) = machine.role, stopping.held != nil else { return actions }
    return actions + machine.handle(.dutiesJoined, at: now)
  }
}

// MARK: Waiting

extension WrongRules {
  /// Shows a node its own lease in the records of others.
  private static func withLease(_ lease: Duration, _ event: Machine.Event) -> Machine.Event {
    func changed(_ snapshot: ElectionSnapshot) -> ElectionSnapshot {
      var snapshot = snapshot
      snapshot.record.leaseDuration = lease
      return snapshot
    }
    switch event {
    case .hint(let snapshot): return .hint(changed(snapshot))
    case .reply(let id, .read(let snapshot?)): return .reply(id, .read(changed(snapshot)))
    case .reply(let id, .conflict(let snapshot?)): return .reply(id, .conflict(changed(snapshot)))
    default: return event
    }
  }

  private static func restartPatience(
    _ event: Machine.Event, at now: Machine.Moment, by machine: inout Machine
  ) -> [Machine.Action] {
    let sequence = machine.lastRecord?.sequence
    let actions = machine.handle(event, at: now)
    if machine.lastRecord?.sequence != sequence { machine.patience.since = now.instant }
    return actions
  }

  private static func skipPatience(
    _ event: Machine.Event, at now: Machine.Moment, by machine: inout Machine
  ) -> [Machine.Action] {
    let actions = machine.handle(event, at: now)
    if let kind = machine.lastRecord?.request?.kind, kind != .stepDown { machine.patience.since = .seconds(-86_400 * 365) }
    return actions
  }

  private static func timeByWallClock(
    _ event: Machine.Event, at now: Machine.Moment, by machine: inout Machine
  ) -> [Machine.Action] {
    setPatience(of: &machine, at: now)
    let actions = machine.handle(event, at: now)
    setPatience(of: &machine, at: now)
    return actions
  }

  /// Ends the patience one lease after the instant of the renewal, by the node's wall clock.
  private static func setPatience(of machine: inout Machine, at now: Machine.Moment) {
    guard let record = machine.lastRecord, !record.isBootstrap, let renewedAt = record.renewedAt else { return }
    let lease = max(record.leaseDuration, machine.timings.leaseDuration)
    let end = now.instant + .seconds(renewedAt.timeIntervalSince(now.wall)) + record.leaseDuration
    machine.patience.since = end - lease - machine.rankDelay
  }
}

// MARK: Acquiring

extension WrongRules {
  /// Replaces a bootstrap record that the machine sends.
  private static func replaceBootstrap(
    _ event: Machine.Event, at now: Machine.Moment, by machine: inout Machine, _ replacement: (Machine.Call, Machine) -> Machine.Call
  ) -> [Machine.Action] {
    machine.handle(event, at: now).map { action in
      guard case .send(let bootstrap) = action, bootstrap.purpose == .bootstrap else { return action }
      let call = replacement(bootstrap, machine)
      machine.call = call
      if call.purpose == .acquire { machine.mayHold = true }
      return .send(call)
    }
  }

  private static func acquisition(insteadOf call: Machine.Call, by machine: Machine) -> Machine.Call {
    var call = call
    if case .leading(let leadership) = machine.role {
      call.purpose = .reassert
      let renewalCount = call.record?.renewalCount ?? 0
      let sequence = call.record?.sequence ?? 0
      call.record = leadership.record
      call.record?.renewalCount = renewalCount
      call.record?.sequence = sequence
      return call
    }
    call.purpose = .acquire
    call.record?.leader = machine.session.nodeID
    call.record?.term = (machine.lastRecord?.term ?? 0) + 1
    call.record?.leaseDuration = machine.timings.leaseDuration
    call.record?.isBootstrap = false
    return call
  }

  private static func repetition(insteadOf call: Machine.Call, by machine: Machine) -> Machine.Call {
    guard case .leading(let leadership) = machine.role else { return call }
    var call = call
    call.purpose = .reassert
    call.record = leadership.record
    return call
  }

  private static func forgetTerms(
    _ event: Machine.Event, at now: Machine.Moment, by machine: inout Machine
  ) -> [Machine.Action] {
    machine.highestTerm = 0
    return machine.handle(event, at: .init(instant: now.instant, wall: Date(timeIntervalSince1970: 0)))
  }
}

extension ElectionStateMachine.Action {
  fileprivate var endsTerm: Bool { if case .endTerm = self { true } else { false } }
}
