/// The store of one election's record: the part of an election that a backend provides.
///
/// ``compareAndSet(_:expecting:)`` must be linearizable: once it has answered ``CompareAndSetResult/written(_:)``, every later call, on any
/// node, sees that record or a later one. An election survives every other fault: lost replies, slow calls, the loss of all data.
///
/// A call that throws has an *unknown* outcome; it was not refused. Calls must honor cancellation: an election gives up a call after
/// ``ElectionTimings/callTimeout`` and continues without it. `ElectionStoreConformance` in `ParallaxTesting` tests a store against these
/// rules.
public protocol ElectionStore: Sendable {
  /// The type of the hints.
  associatedtype Changes: AsyncSequence & Sendable = NoElectionChanges where Changes.Element == ElectionSnapshot

  /// Reads the record.
  ///
  /// - Returns: The record and its version, or `nil` if no record is stored.
  /// - Throws: ``ElectionError`` with `unreadableRecord` if the stored record cannot be decoded; any other error if the store did not
  ///   answer.
  func read() async throws -> ElectionSnapshot?

  /// Writes a record if the stored version is the expected one.
  ///
  /// - Parameters:
  ///   - record: The new record.
  ///   - expecting: The version to replace; `nil` if no record may be stored.
  /// - Returns: The new version, or the stored record if it has another version.
  /// - Throws: ``ElectionError`` with `unreadableRecord` if the stored record cannot be decoded; any other error if the outcome is unknown.
  func compareAndSet(_ record: ElectionRecord, expecting: ElectionVersion?) async throws -> CompareAndSetResult

  /// Hints that the record changed, so that nodes need not wait for their next read.
  ///
  /// Hints may be lost, repeated, delayed and reordered. The sequence may end or throw; the election then relies on its periodic reads.
  ///
  /// - Returns: The written records, including those of this node; none by default.
  func changes() -> Changes

  /// Whether a candidate must wait one lease for a missing record, because the store may have lost the record of a living leader.
  ///
  /// `true` by default; `false` suits a store whose data lives exactly as long as all its nodes.
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

/// The empty hints of a store without hints: the sequence ends at once.
public struct NoElectionChanges: AsyncSequence, Sendable {
  /// The elements of the sequence.
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

  /// Creates the sequence.
  public init() {}

  /// Creates an iterator.
  public func makeAsyncIterator() -> AsyncIterator { AsyncIterator() }
}

/// A stored record with its version.
public struct ElectionSnapshot: Sendable, Hashable {
  /// The record.
  public var record: ElectionRecord
  /// The version of the record, which ``ElectionStore/compareAndSet(_:expecting:)`` expects.
  public var version: ElectionVersion

  /// Creates a snapshot.
  ///
  /// - Parameters:
  ///   - record: The record.
  ///   - version: The version of the record.
  public init(record: ElectionRecord, version: ElectionVersion) {
    self.record = record
    self.version = version
  }
}

/// The version of a stored record, unique among the versions of that record; opaque to all but the store.
public struct ElectionVersion: Sendable, Hashable {
  /// The bytes of the version; a store without versions of its own uses those of the encoded record.
  public var bytes: [UInt8]

  /// Creates a version.
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
