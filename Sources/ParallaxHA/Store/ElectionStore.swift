/// Where the record of one election is kept: the only thing that a backend has to provide.
///
/// ``compareAndSet(_:expecting:)`` must be linearizable: once it has answered ``CompareAndSetResult/written(_:)``, every later
/// call, on any node, sees that record or a later one. All else (losing answers, being slow, losing all its data) an election survives.
///
/// A call that throws means that its outcome is *unknown*, never that it was refused. Calls must honour cancellation: an election gives up
/// a call after ``ElectionTimings/callTimeout`` and goes on without it. `ElectionStoreConformance` in `ParallaxTesting` holds a
/// store to these rules.
public protocol ElectionStore: Sendable {
  /// Hints that the record changed.
  associatedtype Changes: AsyncSequence & Sendable = NoElectionChanges where Changes.Element == ElectionSnapshot

  /// Reads the record.
  ///
  /// - Returns: The record and its version, or `nil` if there is none.
  /// - Throws: ``ElectionError`` with `unreadableRecord` if what is stored cannot be decoded; any other error if the store did not answer.
  func read() async throws -> ElectionSnapshot?

  /// Writes a record if the stored version is still the expected one.
  ///
  /// - Parameters:
  ///   - record: The new record.
  ///   - expecting: The version that it replaces; `nil` if there must be none.
  /// - Returns: The new version, or what is stored instead of the expected version.
  /// - Throws: ``ElectionError`` with `unreadableRecord` if what is stored cannot be decoded; any other error if the outcome is unknown.
  func compareAndSet(_ record: ElectionRecord, expecting: ElectionVersion?) async throws -> CompareAndSetResult

  /// Hints that the record changed, so that nodes need not wait for their next read.
  ///
  /// Hints may be lost, repeated, delayed and reordered. The sequence may end or throw; then the election reads on its own time alone.
  ///
  /// - Returns: What was written, by this node too; by default nothing ever.
  func changes() -> Changes

  /// Whether a candidate has to wait one lease on an absent record, because the store may have lost the record of a leader that lives.
  ///
  /// `true` by default; `false` suits a store that lives and dies with all its nodes.
  var needsBootstrapWait: Bool { get }
}

extension ElectionStore where Changes == NoElectionChanges {
  /// No hints.
  public func changes() -> NoElectionChanges { NoElectionChanges() }
}

extension ElectionStore {
  /// A store may lose its data.
  public var needsBootstrapWait: Bool { true }
}

/// The hints of a store that has none: the sequence ends at once.
public struct NoElectionChanges: AsyncSequence, Sendable {
  /// What the sequence would consist of.
  public typealias Element = ElectionSnapshot
  /// It never fails.
  public typealias Failure = Never

  /// An iterator without elements.
  public struct AsyncIterator: AsyncIteratorProtocol {
    /// Ends the sequence.
    public mutating func next() async -> ElectionSnapshot? { nil }
    /// Ends the sequence.
    ///
    /// - Parameter actor: The caller's actor.
    /// - Returns: Nothing.
    public mutating func next(isolation actor: isolated (any Actor)?) async -> ElectionSnapshot? { nil }
  }

  /// Makes the sequence.
  public init() {}

  /// Begins to read.
  public func makeAsyncIterator() -> AsyncIterator { AsyncIterator() }
}

/// A record as it was stored at some moment.
public struct ElectionSnapshot: Sendable, Hashable {
  /// The record.
  public var record: ElectionRecord
  /// The version that ``ElectionStore/compareAndSet(_:expecting:)`` replaces it by.
  public var version: ElectionVersion

  /// Makes a snapshot.
  ///
  /// - Parameters:
  ///   - record: The record.
  ///   - version: Its version.
  public init(record: ElectionRecord, version: ElectionVersion) {
    self.record = record
    self.version = version
  }
}

/// Tells one stored version of a record from all others; only the store knows what it means.
public struct ElectionVersion: Sendable, Hashable {
  /// The bytes of the version; a store without versions of its own takes those of the encoded record.
  public var bytes: [UInt8]

  /// Makes a version.
  ///
  /// - Parameter bytes: What tells it from all others.
  public init(_ bytes: [UInt8]) {
    self.bytes = bytes
  }
}

/// What became of a compare-and-set that the store answered.
public enum CompareAndSetResult: Sendable, Hashable {
  /// The record was written and has this version.
  case written(ElectionVersion)
  /// Nothing was written, since the stored version is not the expected one; `nil` if there is no record.
  case conflict(ElectionSnapshot?)
}
