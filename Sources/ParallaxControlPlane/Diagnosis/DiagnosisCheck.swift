import ParallaxAPI

/// The checks of the diagnosis, in the order of its document; each has a section in docs/operations/troubleshooting.md.
package enum DiagnosisCheck: String, Sendable, Hashable, CaseIterable {
  case redisReachable = "redis.reachable"
  case redisLatency = "redis.latency"
  case redisRole = "redis.role"
  case redisVersion = "redis.version"
  case redisRights = "redis.rights"
  case redisPersistence = "redis.persistence"
  case redisDisk = "redis.disk"
  case redisMemory = "redis.memory"
  case redisEvictionPolicy = "redis.eviction-policy"
  case redisMinReplicas = "redis.min-replicas"
  case redisReplicaLag = "redis.replica-lag"
  case redisSlots = "redis.slots"
  case redisPubSub = "redis.pubsub"
  case clockStore = "clock.store"
  case clockNodes = "clock.nodes"
  case storeShared = "store.shared"
  case nodeTwin = "node.twin"
  case haLeader = "ha.leader"
  case haClaims = "ha.claims"
  case haLease = "ha.lease"
  case syncLag = "sync.lag"
  case recoveryBacklog = "recovery.backlog"
  /// Whether a node answers; only who asks it can tell.
  case nodeAnswers = "node.answers"

  /// The checks that a node makes of itself.
  static let ofNode = allCases.filter { $0 != .nodeAnswers }

  /// The page with the sections of all checks.
  package static let page = "docs/operations/troubleshooting.md"

  /// The section of the check: the page's heading is the id, of which an anchor keeps letters and hyphens.
  package var section: String { "\(Self.page)#\(rawValue.filter { $0 != "." })" }
}

/// The judgment of one check.
struct Verdict: Sendable, Hashable {
  var status: DiagnosisStatus
  /// What was found, without a period at the end.
  var summary: String
  var cause: String?
  var remedy: String?

  static func ok(_ summary: String) -> Verdict { Verdict(status: .ok, summary: summary) }

  /// The check does not apply, or its fact is unknown.
  static func skip(_ reason: String) -> Verdict { Verdict(status: .skip, summary: reason) }

  static func warn(_ summary: String, cause: String? = nil, remedy: String) -> Verdict {
    Verdict(status: .warn, summary: summary, cause: cause, remedy: remedy)
  }

  static func fail(_ summary: String, cause: String? = nil, remedy: String) -> Verdict {
    Verdict(status: .fail, summary: summary, cause: cause, remedy: remedy)
  }

  func finding(of check: DiagnosisCheck) -> DiagnosisFinding {
    DiagnosisFinding(id: check.rawValue, status: status, summary: summary, cause: cause, remedy: remedy, page: check.section)
  }
}

extension Duration {
  /// The duration for people: milliseconds with a decimal below a second, else seconds with one.
  var readable: String {
    let milliseconds = self / .milliseconds(1)
    let (value, unit) = abs(milliseconds) < 1_000 ? (milliseconds, "ms") : (milliseconds / 1_000, "s")
    let tenths = Int64((value * 10).rounded())
    return tenths.isMultiple(of: 10) ? "\(tenths / 10) \(unit)" : "\(tenths < 0 ? "-" : "")\(abs(tenths) / 10).\(abs(tenths) % 10) \(unit)"
  }
}
