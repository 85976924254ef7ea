/// An operator's command, and its effect on the record.
///
/// Any node can write the command into the record, even while the leader cannot be reached.
package enum ElectionCommand: Sendable, Hashable {
  case stepDown(to: String?)
  case elect
  case force
  case pause
  case resume

  /// The record after the command; nil if the command changes nothing.
  ///
  /// - Parameters:
  ///   - record: The stored record; nil if there is none.
  ///   - id: The id of the request.
  ///   - clusterID: The cluster of the requesting node.
  ///   - timings: The durations of holds.
  /// - Returns: The record to write.
  /// - Throws: ``ElectionError`` if the command is invalid for this record.
  package func apply(
    to record: ElectionRecord?, id: String, clusterID: String, timings: ElectionTimings
  ) throws(ElectionError) -> ElectionRecord? {
    // A leader that asserts its record again may fail in between; then `resume` can still end the pause in its bootstrap record.
    let isPausedBootstrap = record?.isBootstrap == true && record?.isPaused == true && self == .resume
    guard let record, !record.isBootstrap || isPausedBootstrap else {
      throw ElectionError(.noRecord, "there is no election record yet; wait until the first leader is elected")
    }
    guard record.clusterID == clusterID else {
      throw ElectionError(
        .foreignCluster,
        "the record belongs to cluster \"\(record.clusterID)\" and this node to \"\(clusterID)\"; check the store and its key prefix")
    }
    guard var next = try change(record, id: id, timings: timings) else { return nil }
    next.sequence = record.sequence + 1
    return next
  }

  private func change(_ record: ElectionRecord, id: String, timings: ElectionTimings) throws(ElectionError) -> ElectionRecord? {
    var next = record
    switch self {
    case .stepDown(let target):
      guard let leader = record.leader else { throw ElectionError(.noLeader, "no node leads, so no node can step down") }
      guard !record.isPaused else {
        throw ElectionError(.paused, "the cluster is paused and would be left without a leader; resume it first")
      }
      guard target != leader else { throw ElectionError(.invalidTarget, "\"\(leader)\" leads already") }
      next.request = ElectionRequest(id: id, kind: .stepDown, to: target, targetTerm: record.term)
    case .elect:
      guard !record.isPaused else { throw ElectionError(.paused, "the cluster is paused; resume it, or force the election") }
      next.request = ElectionRequest(id: id, kind: .elect, targetTerm: record.term)
      next.reservation = nil
      next.cooldown = nil
    case .force:
      let isAsked = record.request?.kind == .force && record.request?.targetTerm == record.term
      guard !isAsked || record.isPaused else { return nil }
      next.isPaused = false
      next.reservation = nil
      guard let leader = record.leader else {
        next.request = ElectionRequest(id: id, kind: .elect, targetTerm: record.term)
        return next
      }
      next.request = ElectionRequest(id: id, kind: .force, targetTerm: record.term)
      // One hold per term: a repeated command does not restart the hold.
      next.cooldown = ElectionHold(id: "force-\(record.fencingToken)", node: leader, duration: timings.cooldown)
    case .pause, .resume:
      guard record.isPaused != (self == .pause) else { return nil }
      next.isPaused = self == .pause
    }
    return next
  }

  /// Whether the command has been carried out in a stored record.
  ///
  /// - Parameters:
  ///   - record: The stored record.
  ///   - written: The record with the command, or the record that needed no change.
  /// - Returns: Whether the command has been carried out.
  package func isDone(_ record: ElectionRecord, since written: ElectionRecord) -> Bool {
    switch self {
    case .pause, .resume: true
    case .stepDown: record.leader != nil && record.term > written.term
    case .elect: record.leader != nil && (record.term > written.term || record.renewalCount > written.renewalCount)
    case .force: record.leader != nil && (record.term > written.term || (written.leader == nil && record.term >= written.term))
    }
  }
}
