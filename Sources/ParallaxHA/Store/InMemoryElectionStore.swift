import Synchronization

/// Keeps the record of an election in memory, for the nodes of one process: tests, and services that run alone.
///
/// It loses nothing while its nodes live, so the first of them is elected at once.
public final class InMemoryElectionStore: ElectionStore {
  private struct State {
    var snapshot: ElectionSnapshot?
    var versions: UInt64 = 0
    var lastSubscription: UInt64 = 0
    var subscriptions: [UInt64: AsyncStream<ElectionSnapshot>.Continuation] = [:]
  }

  private let state = Mutex(State())

  /// Makes a store without a record.
  public init() {}

  /// `false`: the store lives and dies with all its nodes.
  public var needsBootstrapWait: Bool { false }

  /// Reads the record.
  ///
  /// - Returns: The record and its version, or `nil` if there is none.
  public func read() -> ElectionSnapshot? {
    state.withLock { $0.snapshot }
  }

  /// Writes a record if the stored version is still the expected one.
  ///
  /// - Parameters:
  ///   - record: The new record.
  ///   - expecting: The version that it replaces; `nil` if there must be none.
  /// - Returns: The new version, or what is stored instead of the expected version.
  public func compareAndSet(_ record: ElectionRecord, expecting: ElectionVersion?) -> CompareAndSetResult {
    let (result, subscriptions) = state.withLock { state in
      guard state.snapshot?.version == expecting else {
        return (CompareAndSetResult.conflict(state.snapshot), [AsyncStream<ElectionSnapshot>.Continuation]())
      }
      state.versions += 1
      let version = ElectionVersion(withUnsafeBytes(of: state.versions.bigEndian) { Array($0) })
      state.snapshot = ElectionSnapshot(record: record, version: version)
      return (.written(version), Array(state.subscriptions.values))
    }
    if case .written(let version) = result {
      for subscription in subscriptions { subscription.yield(ElectionSnapshot(record: record, version: version)) }
    }
    return result
  }

  /// Tells of every write, by this process's nodes all; one who falls behind loses the older ones.
  public func changes() -> AsyncStream<ElectionSnapshot> {
    let (stream, continuation) = AsyncStream.makeStream(of: ElectionSnapshot.self, bufferingPolicy: .bufferingNewest(16))
    let id = state.withLock { state in
      state.lastSubscription += 1
      state.subscriptions[state.lastSubscription] = continuation
      return state.lastSubscription
    }
    continuation.onTermination = { [weak self] _ in
      _ = self?.state.withLock { $0.subscriptions.removeValue(forKey: id) }
    }
    return stream
  }

  /// Forgets the record, as a store without persistence does when it restarts; for tests of what depends on an election.
  public func removeRecord() {
    state.withLock { $0.snapshot = nil }
  }
}
