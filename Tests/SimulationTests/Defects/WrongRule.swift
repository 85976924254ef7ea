/// A plausible rule that breaks a promise: *docs/model* has a macro of the same name for each.
enum WrongRule: String, Sendable, CaseIterable {
  /// The lease counts from the reply instead of from before the send.
  case validityFromReply
  /// The own incarnation in the record settles an unknown outcome.
  case readSettlesUnknown
  /// A success after the deadline restores the term.
  case lateSuccessRevives
  /// The record is released before the duties have ended.
  case releaseBeforeJoin
  /// The record is released whatever its version.
  case releaseWithoutCompare
  /// A standby waits for its own lease instead of the longer one.
  case patienceByOwnLease
  /// Every version of the record restarts patience.
  case patienceByVersion
  /// A missing record is acquired without a bootstrap record before it.
  case acquireOverAbsent
  /// A leader whose record is missing writes the same bytes again.
  case reassertSameBytes
  /// An operator's election does not wait for patience.
  case electSkipsPatience
  /// A request over a missing record creates a released one.
  case requestCreatesRecord
  /// The next term depends on the record alone.
  case termFromRecordAlone
  /// A standby measures its patience by the wall-clock instant of the renewal.
  case patienceByWallClock
  /// A resource compares only the terms of fencing tokens.
  case fenceByTermAlone
  /// A witness takes silence for the end of a process.
  case noticeOnSilence
  /// A witness releases the record of any incarnation of its node.
  case noticeForAnyIncarnation
  /// A witness releases the record whatever its version.
  case blindNotice
  /// A witness looks only once.
  case noSecondLook
  /// A notice writes the term before.
  case noticeLowersTerm
  /// A notice writes the next term.
  case noticeRaisesTerm

  /// The rule is one of witnesses, which a script does not have: seeds find it (`ElectionMutationTests`), and the model.
  var isOfWitness: Bool {
    switch self {
    case .noticeOnSilence, .noticeForAnyIncarnation, .blindNotice, .noSecondLook, .noticeLowersTerm, .noticeRaisesTerm: true
    default: false
    }
  }
}
