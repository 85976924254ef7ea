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

  @Test func aStoreThatIgnoresVersionsIsFoundOut() async {
    var broken: [String] = []
    for check in ElectionStoreConformance.checks {
      do { try await check.run { CarelessStore() } } catch { broken.append(check.rule) }
    }
    #expect(broken.count >= 4)
  }
}

/// About as little as a store can do.
private actor StoreWithoutHints: ElectionStore {
  private var bytes: [UInt8]?

  func read() throws -> ElectionSnapshot? {
    try bytes.map { ElectionSnapshot(record: try ElectionRecord(decoding: $0), version: ElectionVersion($0)) }
  }

  func compareAndSet(_ record: ElectionRecord, expecting: ElectionVersion?) throws -> CompareAndSetResult {
    guard bytes == expecting?.bytes else { return .conflict(try read()) }
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
