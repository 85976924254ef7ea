/// How an election stands, as one node sees it.
public struct ElectionStatus: Sendable, Hashable {
  /// The id of the node that the record names as the leader, or `nil` if it names none or is not known.
  public var leader: String?
  /// The leader's address, if it gave one.
  public var leaderAddress: String?
  /// The term of the record; 0 if it is not known.
  public var term: Int64
  /// How many times leadership has been taken; 0 if it is not known.
  public var transitionCount: Int64
  /// Whether nobody is to be elected.
  public var isPaused: Bool
  /// The lease as the leader runs it; nodes that run another one should be brought in line.
  public var leaseDuration: Duration?
  /// Whether this node leads at this moment.
  public var isLeader: Bool
  /// For how long the lease stands without another renewal: on the leader until it stops, elsewhere until others may take over.
  public var leaseRemaining: Duration?
  /// How long ago the store answered, if it has not since then for longer than one call may take; what is shown is as old as that.
  public var staleFor: Duration?
  /// What keeps the node from taking part as it should, or keeps the cluster from being as safe as it could be, in words for an operator.
  public var problem: String?

  /// Makes the status of an election that nothing is known of.
  public init() {
    term = 0
    transitionCount = 0
    isPaused = false
    isLeader = false
  }

  /// What does not change by the mere passing of time.
  var withoutDurations: ElectionStatus {
    var status = self
    status.leaseRemaining = nil
    status.staleFor = nil
    return status
  }
}

extension ElectionStateMachine {
  /// How the election stands.
  ///
  /// - Parameter instant: The reading of the node's clock.
  /// - Returns: What the node knows at that moment.
  package func status(at instant: Duration) -> ElectionStatus {
    var status = ElectionStatus()
    if let record = lastRecord {
      status.leader = record.leader
      status.leaderAddress = record.address
      status.term = record.term
      status.transitionCount = record.transitionCount
      status.isPaused = record.isPaused
      status.leaseDuration = record.isBootstrap ? nil : record.leaseDuration
    }
    if let lease, instant < lease.validUntil {
      status.isLeader = true
      status.leaseRemaining = lease.validUntil - instant
    } else if let record = lastRecord, record.leader != nil {
      let end = patience.since + max(record.leaseDuration, timings.leaseDuration)
      status.leaseRemaining = max(end - instant, .zero)
    }
    // A healthy node hears from the store at least once in 1.2 retry periods.
    let silence = lastAnswerAt.map { instant - $0 } ?? instant
    if notices.storeFailed || silence > timings.retryPeriod * 1.2 + timings.callTimeout { status.staleFor = silence }
    status.problem = problem
    return status
  }

  private var problem: String? {
    if case .stopping(let stopping) = role, stopping.isReported {
      return "duties of term \(stopping.token.term) have ignored their cancellation; the lease was left to expire"
    }
    if case .unreadable = knowledge { return "the stored election record cannot be read; it is left alone, so nobody is elected" }
    if case .present(let snapshot) = knowledge, snapshot.record.clusterID != configuration.clusterID {
      return """
        the election record belongs to cluster "\(snapshot.record.clusterID)" and this node to "\(configuration.clusterID)"; \
        give each cluster a store or a key prefix of its own
        """
    }
    if let twin = notices.twin, twin.growth >= 2 {
      return "another process with incarnation \(twin.incarnation) runs under this node's id \"\(session.nodeID)\"; give each its own id"
    }
    if notices.storeFailed { return "the store does not answer" }
    // In the record a lease is in whole milliseconds.
    if let record = lastRecord, record.leader != nil, record.leaseDuration.milliseconds != timings.leaseDuration.milliseconds {
      return """
        the leader runs a lease of \(record.leaseDuration) and this node one of \(timings.leaseDuration); that suits a change that is under \
        way, but two may lead if the store loses its data meanwhile: bring all nodes to the same
        """
    }
    return nil
  }
}
