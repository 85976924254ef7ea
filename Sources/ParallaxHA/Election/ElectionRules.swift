/// Rules that look right and are not, each to be switched on alone in a test that must then fail.
///
/// The default is the right rules; nothing but tests makes any other.
package struct ElectionRules: Sendable, Hashable {
  /// A rule that was seen to break a promise.
  package enum Defect: String, Sendable, CaseIterable {
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
    /// An absent record is taken straight away after a short grace.
    case acquireOverAbsent
    /// A leader whose record vanished writes the same bytes again.
    case reassertSameBytes
    /// An operator's election does not wait for patience.
    case electSkipsPatience
    /// A request on an absent record creates a released one.
    case requestCreatesRecord
    /// The next term follows from the record alone.
    case termFromRecordAlone
    /// A standby reckons with the wall-clock instant of the renewal.
    case patienceByWallClock
    /// A fencing token compares terms alone.
    case fenceByTermAlone
  }

  /// What is wrong with these rules.
  package var defect: Defect?

  package init(defect: Defect? = nil) {
    self.defect = defect
  }

  func has(_ defect: Defect) -> Bool { self.defect == defect }
}
