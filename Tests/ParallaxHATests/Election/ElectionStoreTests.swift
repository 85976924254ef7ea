import ParallaxHA
import ParallaxTesting
import Testing

@Suite struct ElectionStoreTests {
  @Test("The in-memory store keeps the rules", arguments: ElectionStoreConformance.checks)
  func inMemoryStoreConforms(to check: ElectionStoreConformance.Check) async throws {
    try await check.run { InMemoryElectionStore() }
  }

  @Test("A store without hints keeps the rules", arguments: ElectionStoreConformance.checks)
  func storeWithoutHintsConforms(to check: ElectionStoreConformance.Check) async throws {
    try await check.run { StoreWithoutHints() }
  }

  @Test func allChecksRunInOneCallForOtherTestFrameworks() async throws {
    try await ElectionStoreConformance.run { StoreWithoutHints() }
    let failure = await #expect(throws: (any Error).self) { try await ElectionStoreConformance.run { CarelessStore() } }
    #expect(failure.map { "\($0)" }?.contains("a write that expects no record conflicts with a stored record") == true)
  }

  @Test func undecodableRecordsAreNotChanged() async throws {
    let store = StoreWithoutHints()
    try await ElectionStoreConformance.checkUnreadable(in: store) { await store.spoil() }
    let careless = CarelessStore()
    await #expect(throws: (any Error).self) { try await ElectionStoreConformance.checkUnreadable(in: careless) {} }
  }

  @Test func aStoreThatIgnoresVersionsFailsTheChecks() async {
    var broken: [String] = []
    for check in ElectionStoreConformance.checks {
      do { try await check.run { CarelessStore() } } catch { broken.append(check.rule) }
    }
    #expect(broken.count >= 4)
  }
}

/// A minimal store that conforms.
private actor StoreWithoutHints: ElectionStore {
  private var bytes: [UInt8]?

  func spoil() { bytes = Array("{}".utf8) }

  func read() throws -> ElectionSnapshot? {
    try bytes.map { ElectionSnapshot(record: try ElectionRecord(decoding: $0), version: ElectionVersion($0)) }
  }

  func compareAndSet(_ record: ElectionRecord, expecting: ElectionVersion?) throws -> CompareAndSetResult {
    let current = try read()
    guard current?.version == expecting else { return .conflict(current) }
    let encoded = try record.encoded()
    bytes = encoded
    return .written(ElectionVersion(encoded))
  }
}

private actor CarelessStore: ElectionStore {
  private var snapshot: ElectionSnapshot?

  func read() -> ElectionSnapshot? { snapshot }

  func compareAndSet(_ record: ElectionRecord, expecting: ElectionVersion?) -> CompareAndSetResult {
    snapshot = ElectionSnapshot(record: record, version: ElectionVersion([1]))
    return .written(ElectionVersion([1]))
  }
}
