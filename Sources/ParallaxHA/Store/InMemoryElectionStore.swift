import ParallaxConcurrency
import Synchronization

/// Keeps the record of an election in memory, for the nodes of one process: for tests, and for services that run alone.
///
/// The store loses no data while its nodes live, so the first node is elected at once.
public final class InMemoryElectionStore: ElectionStore {
  private struct State {
    var snapshot: ElectionSnapshot?
    var versions: UInt64 = 0
  }

  private let state = Mutex(State())
  private let writes = Broadcast<ElectionSnapshot>()

  /// Creates a store without a record.
  public init() {}

  /// `false`: the store's data lives exactly as long as all its nodes.
  public var needsBootstrapWait: Bool { false }

  /// Reads the record.
  ///
  /// - Returns: The record and its version, or `nil` if no record is stored.
  public func read() -> ElectionSnapshot? {
    state.withLock { $0.snapshot }
  }

  /// Writes a record if the stored version is the expected one.
  ///
  /// - Parameters:
  ///   - record: The new record.
  ///   - expecting: The version to replace; `nil` if no record may be stored.
  /// - Returns: The new version, or the stored record if it has another version.
  public func compareAndSet(_ record: ElectionRecord, expecting: ElectionVersion?) -> CompareAndSetResult {
    let result: CompareAndSetResult = state.withLock { state in
      guard state.snapshot?.version == expecting else { return .conflict(state.snapshot) }
      state.versions += 1
      let version = ElectionVersion(withUnsafeBytes(of: state.versions.bigEndian) { Array($0) })
      state.snapshot = ElectionSnapshot(record: record, version: version)
      return .written(version)
    }
    if case .written(let version) = result { writes.send(ElectionSnapshot(record: record, version: version)) }
    return result
  }

  /// The written records; a consumer that falls behind loses the older ones.
  public func changes() -> AsyncStream<ElectionSnapshot> {
    writes.subscribe(buffering: 16).stream()
  }

  /// Removes the record, like the restart of a store without persistence; for tests of services with an election.
  public func removeRecord() {
    state.withLock { $0.snapshot = nil }
  }
}
