/// The state of an election, as one node sees it.
public struct ElectionStatus: Sendable, Hashable {
  /// The id of the leader in the record; `nil` if the record names none or is unknown.
  public var leader: String?
  /// The leader's address, if the record has one.
  public var leaderAddress: String?
  /// The term of the record; 0 if it is unknown.
  public var term: Int64
  /// The number of acquisitions; 0 if it is unknown.
  public var transitionCount: Int64
  /// Whether elections are suspended.
  public var isPaused: Bool
  /// The leader's lease, which should equal that of all nodes.
  public var leaseDuration: Duration?
  /// Whether this node leads at the moment of the status.
  public var isLeader: Bool
  /// The time until the lease ends without another renewal: on the leader until it stops, elsewhere until others may take over.
  public var leaseRemaining: Duration?
  /// The age of the store's last answer, and so of this status; `nil` while the store answers in time.
  public var staleFor: Duration?
  /// A fault of this node or of the cluster, and its remedy, in a sentence for an operator; `nil` if none is known.
  public var problem: String?

  /// Creates the status of an unknown election.
  public init() {
    term = 0
    transitionCount = 0
    isPaused = false
    isLeader = false
  }

  /// The status without the durations, which change without an event.
  var withoutDurations: ElectionStatus {
    var status = self
    status.leaseRemaining = nil
    status.staleFor = nil
    return status
  }
}

extension ElectionStateMachine {
  /// The state of the election.
  ///
  /// - Parameter instant: The reading of the node's clock.
  /// - Returns: The status at that instant.
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
    // A healthy node receives an answer of the store at least once in 1.2 retry periods.
    let silence = lastAnswerAt.map { instant - $0 } ?? instant
    if notices.storeFailed || silence > timings.retryPeriod * 1.2 + timings.callTimeout { status.staleFor = silence }
    status.problem = problem
    return status
  }

  private var problem: String? {
    if case .stopping(let stopping) = role, stopping.isReported {
      return "duties of term \(stopping.token.term) have ignored their cancellation; the lease was left to expire"
    }
    if case .unreadable = knowledge { return "the stored election record cannot be read; it is not overwritten, so no node is elected" }
    if case .present(let snapshot) = knowledge, snapshot.record.clusterID != configuration.clusterID {
      return """
        the election record belongs to cluster "\(snapshot.record.clusterID)" and this node to "\(configuration.clusterID)"; \
        give each cluster a store or a key prefix of its own
        """
    }
    if let twin = notices.twin, twin.growth >= 2 {
      return
        "another process with incarnation \(twin.incarnation) runs under this node's id \"\(session.nodeID)\"; give each process its own id"
    }
    if notices.storeFailed { return "the store does not answer" }
    if let refusal = notices.refusal { return "the store refuses writes: \(refusal.reason)" }
    // The record has its lease in whole milliseconds.
    if let record = lastRecord, record.leader != nil, record.leaseDuration.milliseconds != timings.leaseDuration.milliseconds {
      return """
        the leader runs a lease of \(record.leaseDuration) and this node one of \(timings.leaseDuration); during a \
        rolling change that is safe as long as the store keeps its data; give all nodes the same lease
        """
    }
    return nil
  }
}
