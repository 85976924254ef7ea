import ParallaxHA

/// The record of a simulated cluster, and the checks of each write.
struct SimulatedStore {
  /// The parts that distinguish the bytes of two versions.
  private struct Content: Hashable {
    var incarnation: String
    var term: Int64
    var renewalCount: Int64
    var sequence: Int64
    var isHeld: Bool
    var isBootstrap: Bool
    var isPaused: Bool
    var request: String?
  }

  private(set) var snapshot: ElectionSnapshot?
  private var history: [ElectionSnapshot] = []
  private var versions: [Content: Int] = [:]
  private var grants: [Int64: String] = [:]
  private var highestGrant: Int64 = 0
  private(set) var grantCount = 0
  /// Whether the stored record cannot be decoded.
  var isUnreadable = false

  var writeCount: UInt64 { UInt64(history.count) }
  private let expectsNoTransition: Bool
  /// Whether the store is linearizable; if not, only the promise of fencing is checked.
  var isLinearizable: Bool

  init(mix: FaultMix) {
    expectsNoTransition = mix.expectsNoTransition
    isLinearizable = mix.isLinearizable
  }

  /// Writes if the stored version is the expected one.
  ///
  /// - Returns: The new version; nil on a conflict.
  mutating func compareAndSet(
    _ record: ElectionRecord, expecting: ElectionVersion?, isUnconditional: Bool = false,
    violations: inout [SimulationReport.Violation.Kind]
  ) -> ElectionVersion? {
    guard snapshot?.version == expecting || isUnconditional else { return nil }
    let content = Content(
      incarnation: record.incarnation, term: record.term, renewalCount: record.renewalCount, sequence: record.sequence,
      isHeld: record.leader != nil,
      isBootstrap: record.isBootstrap, isPaused: record.isPaused, request: record.request?.id)
    if versions[content] != nil, isLinearizable { violations.append(.sameBytesTwice) }
    let number = versions[content] ?? versions.count
    versions[content] = number
    let version = ElectionVersion(withUnsafeBytes(of: number) { Array($0) })
    let written = ElectionSnapshot(record: record, version: version)
    snapshot = written
    history.append(written)
    return version
  }

  mutating func countGrant(_ token: FencingToken, violations: inout [SimulationReport.Violation.Kind]) {
    grantCount += 1
    guard isLinearizable else { return }
    if grants[token.term] != nil { violations.append(.termGrantedTwice) }
    if token.term < highestGrant { violations.append(.termWentBack) }
    if expectsNoTransition, grantCount > 1 { violations.append(.transition) }
    grants[token.term] = token.incarnation
    highestGrant = max(highestGrant, token.term)
  }

  mutating func loseData() { snapshot = nil }

  /// Stores a record without a write of a node.
  mutating func put(_ record: ElectionRecord) {
    let version = ElectionVersion(Array("put-\(history.count)".utf8))
    let written = ElectionSnapshot(record: record, version: version)
    snapshot = written
    history.append(written)
  }

  mutating func failOver(by count: Int) {
    guard history.count > count, snapshot != nil else { return }
    snapshot = history[history.count - 1 - count]
  }
}
