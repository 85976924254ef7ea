/// A rule that looks right and was seen to break a promise: see *docs/model*, where each is a macro of the same name.
enum WrongRule: String, Sendable, CaseIterable {
  /// The lease counts from the reply rather than from before the send.
  case validityFromReply
  /// Finding one's own incarnation in the record settles an unknown outcome.
  case readSettlesUnknown
  /// A success after the deadline brings the term back.
  case lateSuccessRevives
  /// The record is released before the duties have ended.
  case releaseBeforeJoin
  /// The record is released whatever its version.
  case releaseWithoutCompare
  /// A standby waits by its own lease rather than by the longer one.
  case patienceByOwnLease
  /// Every version of the record restarts patience.
  case patienceByVersion
  /// An absent record is taken without a bootstrap record before.
  case acquireOverAbsent
  /// A leader whose record vanished writes the same bytes again.
  case reassertSameBytes
  /// An operator's election does not wait for patience.
  case electSkipsPatience
  /// A request on an absent record creates a released one.
  case requestCreatesRecord
  /// The next term follows from the record alone.
  case termFromRecordAlone
  /// A standby times by the wall-clock instant of the renewal.
  case patienceByWallClock
  /// A resource compares the terms of fencing tokens alone.
  case fenceByTermAlone
}
