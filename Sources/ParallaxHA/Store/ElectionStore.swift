/// The store of one election's record: all that a backend has to provide.
///
/// ``compareAndSet(_:expecting:)`` must be linearizable: once it has answered ``CompareAndSetResult/written(_:)``, every later call, on any
/// node, sees that record or a later one. An election survives every other fault: lost replies, slow calls, the loss of all data.
///
/// A call that throws has an *unknown* outcome; it was not refused. Calls must honor cancellation: an election gives up a call
/// after ``ElectionTimings/callTimeout`` and goes on without it. `ElectionStoreConformance` in `ParallaxTesting` holds a
/// store to these rules.
public protocol ElectionStore: Sendable {
  /// The hints that the record changed.
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
  /// - Returns: The written records, those of this node included; none by default.
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
  /// The element of the sequence.
  public typealias Element = ElectionSnapshot
  /// The sequence never fails.
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

  /// Makes an iterator.
  public func makeAsyncIterator() -> AsyncIterator { AsyncIterator() }
}

/// A stored record with its version.
public struct ElectionSnapshot: Sendable, Hashable {
  /// The record.
  public var record: ElectionRecord
  /// The version of the record, which ``ElectionStore/compareAndSet(_:expecting:)`` expects.
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

/// The version of a stored record, unique among the versions of that record; only the store knows its meaning.
public struct ElectionVersion: Sendable, Hashable {
  /// The bytes of the version; a store without versions of its own takes those of the encoded record.
  public var bytes: [UInt8]

  /// Makes a version.
  ///
  /// - Parameter bytes: The bytes of the version.
  public init(_ bytes: [UInt8]) {
    self.bytes = bytes
  }
}

/// The store's answer to a compare-and-set.
public enum CompareAndSetResult: Sendable, Hashable {
  /// The record was written and has this version.
  case written(ElectionVersion)
  /// Nothing was written, since the stored version is not the expected one; `nil` if there is no record.
  case conflict(ElectionSnapshot?)
}
