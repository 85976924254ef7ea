/// Any election store, for a program that chooses its store when it runs.
///
/// ```swift
/// let store: any ElectionStore = isEmbedded ? InMemoryElectionStore() : FileElectionStore(path: path)
/// let election = LeaderElection(store: AnyElectionStore(store), nodeID: "worker-1")
/// ```
public struct AnyElectionStore: ElectionStore {
  private let base: any ElectionStore

  /// Wraps a store.
  ///
  /// - Parameter base: The store that every call goes to.
  public init(_ base: any ElectionStore) {
    self.base = base
  }

  /// What the wrapped store says.
  public var needsBootstrapWait: Bool { base.needsBootstrapWait }

  /// Reads the record.
  ///
  /// - Returns: The record and its version, or `nil` if there is none.
  /// - Throws: What the wrapped store throws.
  public func read() async throws -> ElectionSnapshot? { try await base.read() }

  /// Writes a record if the stored version is still the expected one.
  ///
  /// - Parameters:
  ///   - record: The new record.
  ///   - expecting: The version that it replaces; `nil` if there must be none.
  /// - Returns: The new version, or what is stored instead of the expected version.
  /// - Throws: What the wrapped store throws.
  public func compareAndSet(_ record: ElectionRecord, expecting: ElectionVersion?) async throws -> CompareAndSetResult {
    try await base.compareAndSet(record, expecting: expecting)
  }

  /// The hints of the wrapped store.
  public func changes() -> AnyElectionChanges { Self.changes(of: base) }

  private static func changes(of store: some ElectionStore) -> AnyElectionChanges { AnyElectionChanges(store.changes()) }
}

/// The hints of an ``AnyElectionStore``.
public struct AnyElectionChanges: AsyncSequence, Sendable {
  /// What the sequence consists of.
  public typealias Element = ElectionSnapshot

  /// Reads the hints.
  public struct AsyncIterator: AsyncIteratorProtocol {
    fileprivate let nextSnapshot: () async throws -> ElectionSnapshot?

    /// The next hint, or `nil` when there will be none.
    ///
    /// - Returns: The next hint.
    /// - Throws: What the wrapped sequence throws.
    public mutating func next() async throws -> ElectionSnapshot? { try await nextSnapshot() }
  }

  private let makeIterator: @Sendable () -> AsyncIterator

  init<Base: AsyncSequence & Sendable>(_ base: Base) where Base.Element == ElectionSnapshot {
    makeIterator = {
      var iterator = base.makeAsyncIterator()
      return AsyncIterator { try await iterator.next() }
    }
  }

  /// Begins to read.
  public func makeAsyncIterator() -> AsyncIterator { makeIterator() }
}
