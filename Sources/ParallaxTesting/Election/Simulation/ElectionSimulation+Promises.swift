import ParallaxHA

/// The checks of the promises.
extension ElectionSimulation {
  /// Whether a node validly leads at this moment.
  func leads(_ index: Int) -> Bool {
    guard nodes[index].isAlive, let lease = nodes[index].machine.lease else { return false }
    return Int64(reading(on: index)) < lease.validUntil.nanoseconds
  }

  mutating func checkValidity(of index: Int) {
    guard store.isLinearizable, leads(index) else { return }
    for other in nodes.indices where other != index && leads(other) { found.append(.overlap) }
  }

  mutating func checkDuties(beginningOn index: Int) {
    guard mix.checksDuties else { return }
    for other in nodes.indices where other != index && nodes[other].duties != nil && !nodes[other].wasPausedInTerm {
      if !(nodes[other].areDutiesStuck && nodes[other].areDutiesEnding) { found.append(.dutyOutsideTerm) }
    }
  }

  mutating func checkForLeader() {
    if nodes.indices.contains(where: { leads($0) && !nodes[$0].isPaused }) {
      gapSince = nil
      return
    }
    let since = gapSince ?? now
    gapSince = since
    report.longestGap = max(report.longestGap, .nanoseconds(now - since))
    if report.longestGap > report.longestAllowedGap { found.append(.noLeader) }
  }

  /// Writes to a resource with a fencing guard.
  ///
  /// - Returns: Whether the resource accepted the write.
  @discardableResult
  mutating func write(with token: FencingToken) -> Bool {
    guard let accepted else {
      self.accepted = token
      return true
    }
    guard defect.admits(token, after: accepted) else { return false }
    if token.term < accepted.term || (token.term == accepted.term && token.incarnation != accepted.incarnation) {
      found.append(.staleWriteAccepted)
    }
    self.accepted = token
    return true
  }

  static func summary(of record: ElectionRecord) -> String {
    var text = "[\(record.leader ?? (record.isBootstrap ? "bootstrap" : "released"))/\(record.incarnation)"
    text += " term \(record.term) renewal \(record.renewalCount) seq \(record.sequence)"
    if let request = record.request { text += " \(request.kind)" }
    if let hold = record.reservation { text += " reservation for \(hold.node)" }
    if let hold = record.cooldown { text += " cooldown of \(hold.node)" }
    if record.isPaused { text += " paused" }
    return text + "]"
  }
}
