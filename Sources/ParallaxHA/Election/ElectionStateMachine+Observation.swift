/// The machine's observations of the record.
extension ElectionStateMachine {
  /// Handles the stored record, current or slightly outdated.
  mutating func observe(_ snapshot: ElectionSnapshot?) {
    guard let snapshot else {
      knowledge = .absent
      mayHold = false
      return
    }
    let record = snapshot.record
    guard record.fault == nil else {
      knowledge = .unreadable
      noticeUnreadable()
      return
    }
    notices.unreadable = false
    knowledge = .present(snapshot)
    guard record.clusterID == configuration.clusterID else {
      if notices.foreignCluster != record.clusterID { output.append(.notice(.foreignCluster(record.clusterID))) }
      notices.foreignCluster = record.clusterID
      return
    }
    remember(record)
    if !isOwn(knowledge) { mayHold = false }
    watchForTwin(record)
  }

  private mutating func remember(_ record: ElectionRecord) {
    lastRecord = record
    highestTerm = max(highestTerm, record.term)
    highestSequence = max(highestSequence, record.sequence)
    if !record.isBootstrap {
      hasHistory = true
      longestLease = record.leaseDuration
    }
    let current = Patience(
      incarnation: record.incarnation, term: record.term, renewalCount: record.renewalCount, isBootstrap: record.isBootstrap,
      since: patience.since)
    if current != patience {
      patience = current
      patience.since = now.instant
    }
    reservation = received(record.reservation, before: reservation)
    cooldown = received(record.cooldown, before: cooldown)
  }

  private func received(_ hold: ElectionHold?, before: ReceivedHold?) -> ReceivedHold? {
    guard let hold else { return before }
    return hold.id == before?.id ? before : ReceivedHold(id: hold.id, receivedAt: now.instant)
  }

  /// Hints may be stale: a hint is used only if it is newer than the known record, and a leader never acts on one.
  mutating func takeHint(_ hint: ElectionSnapshot) {
    guard hint.record.fault == nil else { return }
    guard hint.record.clusterID == configuration.clusterID else {
      needsRead = true
      return
    }
    if case .leading = role {
      if !isOwnWrite(hint), !isKnown(hint) { needsRead = true }
      highestTerm = max(highestTerm, hint.record.term)
      return
    }
    if isNews(hint) {
      hasHintSinceCall = true
      observe(hint)
    } else if !isKnown(hint) {
      needsRead = true
    }
  }

  /// Whether a reply may be older than a hint that arrived before it.
  ///
  /// Hints and replies arrive independently: a hint of the next leader's acquisition may precede the reply to this node's release. The node
  /// then reads again instead of using the older record, since the store may also have lost its data meanwhile.
  func isOvertaken(_ snapshot: ElectionSnapshot?) -> Bool {
    guard hasHintSinceCall, case .present(let known) = knowledge else { return false }
    guard let snapshot else { return true }
    return snapshot.version != known.version && !snapshot.record.isNewer(than: known.record)
  }

  private func isNews(_ hint: ElectionSnapshot) -> Bool {
    switch knowledge {
    case .unknown: true
    case .unreadable: false
    case .absent: lastRecord.map { hint.record.isNewer(than: $0) } ?? true
    case .present(let known): hint.record.isNewer(than: known.record)
    }
  }

  private func isKnown(_ hint: ElectionSnapshot) -> Bool {
    if case .present(let known) = knowledge { known.version == hint.version } else { false }
  }

  /// Whether the hint shows a write of this node: the current one, or an earlier one.
  private func isOwnWrite(_ hint: ElectionSnapshot) -> Bool {
    let record = hint.record
    guard record.incarnation == session.incarnation else { return false }
    if let write = call?.record, write.renewalCount == record.renewalCount, write.sequence == record.sequence { return true }
    return record.renewalCount < (lastRecord?.renewalCount ?? 0)
  }

  /// A late packet of a former process may renew once; a process that renews twice is alive.
  private mutating func watchForTwin(_ record: ElectionRecord) {
    guard record.leader == session.nodeID, record.incarnation != session.incarnation else { return }
    guard var twin = notices.twin, twin.incarnation == record.incarnation else {
      notices.twin = (record.incarnation, record.renewalCount, 0)
      return
    }
    guard record.renewalCount > twin.renewalCount else { return }
    twin.renewalCount = record.renewalCount
    twin.growth += 1
    notices.twin = twin
    if twin.growth == 2 { output.append(.notice(.twin(incarnation: record.incarnation, address: record.address))) }
  }

  /// Whether the record names this incarnation as the leader.
  func isOwn(_ knowledge: Knowledge) -> Bool {
    guard case .present(let snapshot) = knowledge else { return false }
    return snapshot.record.leader == session.nodeID && snapshot.record.incarnation == session.incarnation
      && snapshot.record.clusterID == configuration.clusterID
  }

  mutating func noticeUnreadable() {
    if !notices.unreadable { output.append(.notice(.unreadableRecord)) }
    notices.unreadable = true
  }
}
