/// An event of a node's part in an election, for the log.
package enum ElectionNotice: Sendable, Hashable, CustomStringConvertible {
  /// The node leads.
  case elected(FencingToken, Takeover)
  /// The node stops leading.
  case ended(FencingToken, TermEnd)
  /// The record no longer names the node.
  case released(FencingToken)
  /// Duties have not ended within the stop budget; the lease is left to expire.
  case dutiesStuck(FencingToken)
  /// Another process leads under this node's id.
  case twin(incarnation: String, address: String?)
  /// The record belongs to another cluster.
  case foreignCluster(String)
  /// The record cannot be decoded.
  case unreadableRecord
  /// Calls to the store fail.
  case storeFailed
  /// The store answers again.
  case storeAnswers
  /// The store answers, but takes no writes.
  case storeRefusesWrites(reason: String)
  /// The store takes writes again.
  case storeTakesWrites

  package var description: String {
    switch self {
    case .elected(let token, let takeover): "it leads term \(token.term): \(takeover.cause)"
    case .ended(let token, let end): "term \(token.term) has ended: \(end)"
    case .released(let token): "term \(token.term) is released"
    case .dutiesStuck(let token): "duties of term \(token.term) ignore their cancellation"
    case .twin(let incarnation, _): "\(incarnation) runs under the same id"
    case .foreignCluster(let clusterID): "the record belongs to cluster \(clusterID)"
    case .unreadableRecord: "the record cannot be read"
    case .storeFailed: "the store does not answer"
    case .storeAnswers: "the store answers again"
    case .storeRefusesWrites(let reason): "the store refuses writes: \(reason)"
    case .storeTakesWrites: "the store takes writes again"
    }
  }
}

/// The reason for which a node could take the record.
package struct Takeover: Sendable, Hashable {
  /// The reason, as a label of metrics.
  package enum Cause: String, Sendable, Hashable, CustomStringConvertible {
    /// There was no record, or it was lost.
    case bootstrap
    /// The former leader has released the term.
    case released
    /// A witness has recorded the death of the former leader.
    case witnessed
    /// The lease of the former leader has expired.
    case expired
    /// The node's former process held the term.
    case reclaimed

    package var description: String {
      switch self {
      case .bootstrap: "there was no record"
      case .released: "the former leader has released the term"
      case .witnessed: "the death of the former leader was witnessed"
      case .expired: "the lease of the former leader has expired"
      case .reclaimed: "this node's former process held the term"
      }
    }
  }

  package var cause: Cause
  /// How long ago this node had received the last renewal of the former leader when it began to take over; at most so long nobody led.
  package var silence: Duration
}

/// The reason for the end of a term.
package enum TermEnd: Sendable, Hashable, CustomStringConvertible {
  /// No renewal was acknowledged in time.
  case deadlinePassed
  /// The record names another incarnation.
  case superseded(by: String?, term: Int64)
  /// An operator requested it.
  case requested(ElectionRequest.Kind)
  /// No body waits for a term.
  case withdrawn
  /// This node is not fit to lead, and another node is.
  case ineligible
  /// The node resigned.
  case resigned

  package var description: String {
    switch self {
    case .deadlinePassed: "no renewal was acknowledged in time"
    case .superseded(let leader?, let term): "the record names \(leader) in term \(term)"
    case .superseded(nil, let term): "the record names no leader, in term \(term)"
    case .requested(.force): "an operator forced an election"
    case .requested: "an operator requested it"
    case .withdrawn: "no body waits for a term"
    case .ineligible: "the node is not eligible"
    case .resigned: "the node resigned"
    }
  }

  /// Whether the node gives up a lease that it still holds.
  var isVoluntary: Bool {
    switch self {
    case .deadlinePassed, .superseded: false
    case .requested, .withdrawn, .ineligible, .resigned: true
    }
  }
}

/// The current notices, so that each is logged once.
struct NoticeMemory: Sendable {
  var storeFailed = false
  /// The reason for which the store refuses writes, and the version of the record that it had then; nil while it takes them.
  ///
  /// Answered reads prove nothing about writes; only a write ends this state, by this node or, as a change of the record shows, another.
  var refusal: (reason: String, version: ElectionVersion?)?
  var unreadable = false
  var foreignCluster: String?
  /// The other incarnation under this node's id, its last renewal count, and the number of times the count has grown.
  var twin: (incarnation: String, renewalCount: Int64, growth: Int)?
}
