/// A type-erased election store, for a program that chooses its store at run time.
///
/// ```swift
/// let store: any ElectionStore = isEmbedded ? InMemoryElectionStore() : FileElectionStore(path: path)
/// let election = LeaderElection(store: AnyElectionStore(store), nodeID: "worker-1")
/// ```
public struct AnyElectionStore: ElectionStore {
  private let base: any ElectionStore

  /// Wraps a store.
  ///
  /// - Parameter base: The store that receives every call.
  public init(_ base: any ElectionStore) {
    self.base = base
  }

  /// The value of the wrapped store.
  public var needsBootstrapWait: Bool { base.needsBootstrapWait }

  /// Reads the record.
  ///
  /// - Returns: The record and its version, or `nil` if no record is stored.
  /// - Throws: The error of the wrapped store.
  public func read() async throws -> ElectionSnapshot? { try await base.read() }

  /// Writes a record if the stored version is the expected one.
  ///
  /// - Parameters:
  ///   - record: The new record.
  ///   - expecting: The version to replace; `nil` if no record may be stored.
  /// - Returns: The new version, or the stored record if it has another version.
  /// - Throws: The error of the wrapped store.
  public func compareAndSet(_ record: ElectionRecord, expecting: ElectionVersion?) async throws -> CompareAndSetResult {
    try await base.compareAndSet(record, expecting: expecting)
  }

  /// The hints of the wrapped store.
  public func changes() -> AnyElectionChanges { Self.changes(of: base) }

  private static func changes(of store: some ElectionStore) -> AnyElectionChanges { AnyElectionChanges(store.changes()) }
}

/// The hints of an ``AnyElectionStore``.
public struct AnyElectionChanges: AsyncSequence, Sendable {
  /// The elements of the sequence.
  public typealias Element = ElectionSnapshot

  /// The iterator of the hints.
  public struct AsyncIterator: AsyncIteratorProtocol {
    fileprivate let nextSnapshot: () async throws -> ElectionSnapshot?

    /// The next hint; `nil` at the end.
    ///
    /// - Returns: The hint.
    /// - Throws: The error of the wrapped sequence.
    public mutating func next() async throws -> ElectionSnapshot? { try await nextSnapshot() }
  }

  private let makeIterator: @Sendable () -> AsyncIterator

  init<Base: AsyncSequence & Sendable>(_ base: Base) where Base.Element == ElectionSnapshot {
    makeIterator = {
      var iterator = base.makeAsyncIterator()
      return AsyncIterator { try await iterator.next() }
    }
  }

  /// Creates an iterator.
  public func makeAsyncIterator() -> AsyncIterator { makeIterator() }
}
