/// The store of a cluster's members: one field per node id, which holds a ``MemberRecord``.
///
/// A call that throws has an unknown outcome; it may be repeated with the same arguments. The conformance suite
/// `MembershipStoreConformance` in `ParallaxTesting` states what an implementation has to do.
public protocol MembershipStore: Sendable {
  /// Writes a node's field, unless another life of the node holds it.
  ///
  /// The check and the write are one atomic step. The field is written when there is none, when it holds the record's own incarnation, and
  /// when it holds the incarnation to be replaced. A starting process names the former life in the field; later writes name none, and so
  /// notice when another process has taken the field.
  ///
  /// - Parameters:
  ///   - record: The record to write.
  ///   - incarnation: The former incarnation of the same node id that may be replaced; nil for none.
  /// - Returns: What the field held before, or which incarnation holds it.
  /// - Throws: What the store's client throws; ``MembershipError`` with `unreadable` if the field cannot be decoded.
  func write(_ record: MemberRecord, replacing incarnation: String?) async throws -> MemberWriteOutcome

  /// Reads all fields as they stand at one moment.
  ///
  /// - Returns: The records, and the ids of the fields that cannot be read; an unreadable field must not hide the others.
  /// - Throws: What the store's client throws.
  func members() async throws -> MembershipSnapshot

  /// Removes a node's field if it is of this incarnation; else does nothing.
  ///
  /// - Parameter session: The life of the node whose field is to go.
  /// - Throws: What the store's client throws.
  func remove(_ session: NodeSession) async throws
}

/// The outcome of a write of a node's field.
public enum MemberWriteOutcome: Sendable, Hashable {
  /// The record was written; there was no field.
  case added
  /// The record replaced an earlier record of the same incarnation.
  case renewed
  /// The record replaced the named incarnation.
  case replaced
  /// Nothing was written: another incarnation of the same node id holds the field.
  case twin(MemberRecord)
}

/// All members' fields at one moment.
public struct MembershipSnapshot: Sendable, Hashable {
  /// The records, in no order, one per node id.
  public var records: [MemberRecord]

  /// The node ids whose fields cannot be read, each with the reason.
  public var unreadable: [String: String]

  /// Makes a snapshot.
  ///
  /// - Parameters:
  ///   - records: The records, one per node id.
  ///   - unreadable: The node ids whose fields cannot be read, each with the reason.
  public init(records: [MemberRecord], unreadable: [String: String] = [:]) {
    self.records = records
    self.unreadable = unreadable
  }
}
