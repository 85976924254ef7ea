/// Holding and giving up a term.
extension ElectionStateMachine {
  /// An acquisition was acknowledged: the lease counts from before the send, so it may have ended already.
  mutating func acquired(_ snapshot: ElectionSnapshot, sentAt: Duration) {
    observe(snapshot)
    let validUntil = sentAt + timings.renewDeadline
    guard isCampaigning, case .standby = role, now.instant < validUntil else { return }
    lead(snapshot, validUntil: validUntil, sentAt: sentAt)
  }

  private mutating func lead(_ snapshot: ElectionSnapshot, validUntil: Duration, sentAt: Duration) {
    let token = snapshot.record.fencingToken
    role = .leading(
      Leadership(
        lease: Lease(token: token, validUntil: validUntil), record: snapshot.record,
        nextRenewal: sentAt + timings.retryPeriod * jitter(), renewals: snapshot.record.renewalCount))
    needsRead = false
    output.append(.notice(.elected(token, takeover)))
    output.append(.beginTerm(token))
  }

  /// A renewal was acknowledged before the deadline: see ``expireLease()``.
  mutating func renewed(_ snapshot: ElectionSnapshot, sentAt: Duration) {
    observe(snapshot)
    let validUntil = sentAt + timings.renewDeadline
    guard case .leading(var leadership) = role, leadership.lease.token == snapshot.record.fencingToken else { return }
    leadership.lease.validUntil = max(leadership.lease.validUntil, validUntil)
    leadership.record = snapshot.record
    leadership.nextRenewal = sentAt + timings.retryPeriod * jitter()
    role = .leading(leadership)
  }

  func leaderWakeUp(_ leadership: Leadership) -> Duration {
    switch knowledge {
    case .unknown, .unreadable, .absent: retryAt
    case .present: needsRead ? min(retryAt, leadership.nextRenewal) : leadership.nextRenewal
    }
  }

  mutating func proceedAsLeader() {
    guard case .leading(var leadership) = role else { return }
    switch knowledge {
    case .unknown, .unreadable:
      if now.instant >= retryAt { read() }
    case .absent:
      if now.instant >= retryAt { restore(&leadership) }
    case .present(let snapshot):
      let record = snapshot.record
      if record.isBootstrap, record.clusterID == configuration.clusterID {
        write(.reassert, over: leadership.record, in: &leadership, expecting: snapshot.version)
      } else if isOwn(knowledge), record.fencingToken == leadership.lease.token {
        hold(snapshot, leadership)
      } else {
        lose(.superseded(by: record.leader, term: record.term))
      }
    }
  }

  private mutating func hold(_ snapshot: ElectionSnapshot, _ leadership: Leadership) {
    var leadership = leadership
    leadership.record = snapshot.record
    role = .leading(leadership)
    if let request = snapshot.record.request, request.kind != .elect, request.targetTerm == snapshot.record.term {
      stop(.requested(request.kind))
    } else if needsRead, now.instant >= retryAt {
      read()
    } else if now.instant >= leadership.nextRenewal {
      write(.renew, over: snapshot.record, in: &leadership, expecting: snapshot.version)
    }
  }

  /// Restores a record that the store has lost.
  ///
  /// The leader first writes a bootstrap record, which is the only kind of record that a late packet can
  /// write too, and then asserts the term over it.
  private mutating func restore(_ leadership: inout Leadership) {
    // A standby could not distinguish a renewal with the count of the bootstrap record from that record, and its patience would not
    // restart.
    leadership.renewals += 1
    role = .leading(leadership)
    var mark = bootstrapRecord(term: leadership.lease.token.term)
    mark.renewalCount = leadership.renewals
    mark.isPaused = leadership.record.isPaused
    send(.bootstrap, mark)
  }

  private mutating func write(
    _ purpose: Call.Purpose, over record: ElectionRecord, in leadership: inout Leadership, expecting: ElectionVersion?
  ) {
    leadership.renewals = max(leadership.renewals, record.renewalCount) + 1
    role = .leading(leadership)
    var next = record
    next.address = configuration.address
    next.renewalCount = leadership.renewals
    next.sequence = max(record.sequence, highestSequence) + 1
    next.leaseDuration = timings.leaseDuration
    next.renewedAt = now.wall
    send(purpose, next, expecting: expecting)
  }

  /// Every event after the end of the lease ends the term, so a late timer changes nothing.
  mutating func expireLease() {
    guard case .leading(let leadership) = role, now.instant >= leadership.lease.validUntil else { return }
    lose(.deadlinePassed)
  }

  private mutating func lose(_ end: TermEnd) {
    if case .superseded(session.nodeID?, _) = end, case .present(let snapshot) = knowledge {
      output.append(.notice(.twin(incarnation: snapshot.record.incarnation, address: snapshot.record.address)))
    }
    finish(end)
  }

  /// Gives up the lease, if the node holds one.
  mutating func stop(_ end: TermEnd) {
    guard case .leading = role else { return }
    finish(end)
  }

  private mutating func finish(_ end: TermEnd) {
    guard case .leading(let leadership) = role else { preconditionFailure("a term ended that the node did not lead") }
    var held: ElectionSnapshot?
    // A call in progress may have outdated the known version; a release then fails and returns the current version.
    if end.isVoluntary, case .present(let snapshot) = knowledge, isOwn(knowledge) { held = snapshot }
    let token = leadership.lease.token
    mayHold = true
    call = nil
    output.append(.notice(.ended(token, end)))
    output.append(.endTerm(token, end))
    role = .stopping(Stopping(token: token, end: end, held: held, isStuckAt: now.instant + timings.stopBudget))
  }

  mutating func joinDuties() {
    guard case .stopping(let stopping) = role else { return }
    if resignDeadline != nil { resignDeadline = now.instant + timings.callTimeout * 2 }
    retryAt = now.instant
    nextPoll = now.instant
    if let held = stopping.held {
      knowledge = .present(held)
      needsRead = false
      role = .releasing
    } else {
      knowledge = .unknown
      needsRead = true
      role = .standby
    }
  }
}
