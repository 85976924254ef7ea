/// The outcome of a check of the diagnosis, from best to worst.
public enum DiagnosisStatus: String, Sendable, Hashable, Codable, CaseIterable, Comparable {
  /// The check does not apply, or its fact could not be gathered; the summary has the reason.
  case skip
  /// Nothing to do.
  case ok
  /// Nothing is broken yet, and something should be changed.
  case warn
  /// Something does not work, or loses data.
  case fail

  private var rank: Int {
    switch self {
    case .skip: 0
    case .ok: 1
    case .warn: 2
    case .fail: 3
    }
  }

  /// Orders the outcomes: skipped ones first, failures last.
  public static func < (left: DiagnosisStatus, right: DiagnosisStatus) -> Bool { left.rank < right.rank }
}

/// What one check of the diagnosis found.
public struct DiagnosisFinding: Sendable, Hashable, Codable {
  /// The stable id of the check, such as `redis.eviction-policy`.
  public var id: String
  /// The outcome.
  public var status: DiagnosisStatus
  /// What was found, in a sentence; for a skipped check the reason.
  public var summary: String
  /// Why it is so, or what it leads to; nil if there is nothing to add.
  public var cause: String?
  /// The command or the change of the configuration that mends it; nil if there is nothing to mend.
  public var remedy: String?
  /// The section of the operator's guide, as a path in the repository with an anchor.
  public var page: String

  package init(
    id: String, status: DiagnosisStatus, summary: String, cause: String? = nil, remedy: String? = nil, page: String
  ) {
    self.id = id
    self.status = status
    self.summary = summary
    self.cause = cause
    self.remedy = remedy
    self.page = page
  }
}

/// The body of `GET /ha/diagnosis`: every check, once each, in a fixed order.
public struct DiagnosisDocument: Sendable, Hashable, Codable {
  /// The worst outcome of the checks; `ok` if all were skipped.
  public var status: DiagnosisStatus
  /// The id of the node that was examined, or that would run with the examined configuration.
  public var nodeId: String
  /// The random part of the node's session, by which two processes with one id differ; nil if no node ran.
  public var incarnation: String?
  /// The cluster of the node; nil if it runs alone.
  public var clusterId: String?
  /// The version of the examining program.
  public var version: String
  /// The time of the diagnosis, by the clock of the examining machine.
  public var at: Timestamp
  /// How long the diagnosis took.
  public var duration: WireDuration
  /// The findings.
  public var checks: [DiagnosisFinding]

  package init(
    nodeId: String, incarnation: String?, clusterId: String?, version: String, at: Timestamp, duration: Duration,
    checks: [DiagnosisFinding]
  ) {
    status = max(.ok, checks.map(\.status).max() ?? .ok)
    self.nodeId = nodeId
    self.incarnation = incarnation
    self.clusterId = clusterId
    self.version = version
    self.at = at
    self.duration = WireDuration(duration)
    self.checks = checks
  }
}
