/// The store of a cluster's members: one field per node id, which holds a ``MemberRecord``.
///
/// A call that throws has an unknown outcome, and may be repeated with the same arguments. The conformance suite
/// `MembershipStoreConformance` in `ParallaxTesting` tests an implementation.
public protocol MembershipStore: Sendable {
  /// Writes a node's field, unless another session of the node holds it.
  ///
  /// The check and the write are one atomic step. The field is written if it is missing, if it has the record's own incarnation, or if it
  /// has the incarnation to be replaced. A starting process names the former session in the field; later writes name none, and so detect
  /// another process that has taken the field.
  ///
  /// - Parameters:
  ///   - record: The record.
  ///   - incarnation: The former incarnation of the same node id that may be replaced; nil for none.
  /// - Returns: The former content of the field, or its holder.
  /// - Throws: The error of the store's client; ``MembershipError`` with `unreadable` if the field cannot be decoded.
  func write(_ record: MemberRecord, replacing incarnation: String?) async throws -> MemberWriteOutcome

  /// Reads all fields atomically.
  ///
  /// - Returns: The records, and the ids of unreadable fields; an unreadable field must not hide the others.
  /// - Throws: The error of the store's client.
  func members() async throws -> MembershipSnapshot

  /// Removes a node's field if it has this incarnation; else does nothing.
  ///
  /// - Parameter session: The session whose field is removed.
  /// - Throws: The error of the store's client.
  func remove(_ session: NodeSession) async throws

  /// Marks a node's field as that of a process that has ended, if the field has this incarnation; else does nothing.
  ///
  /// The check and the write are one atomic step, which changes nothing but ``MemberRecord/end``: a field that has been removed stays
  /// removed, and an earlier mark stays. Every node takes a marked member for lost at once. The caller must *know* that the process has
  /// ended: see <doc:ProvingDeath>.
  ///
  /// - Parameters:
  ///   - session: The session whose process has ended.
  ///   - end: When and how it ended.
  /// - Returns: Whether the field has a mark now.
  /// - Throws: The error of the store's client; ``MembershipError`` with `unreadable` if the field cannot be decoded.
  func markEnded(_ session: NodeSession, _ end: MemberEnd) async throws -> Bool
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

  /// The node ids of unreadable fields, each with the reason.
  public var unreadable: [String: String]

  /// Creates a snapshot.
  ///
  /// - Parameters:
  ///   - records: The records, one per node id.
  ///   - unreadable: The node ids of unreadable fields, each with the reason; none by default.
  public init(records: [MemberRecord], unreadable: [String: String] = [:]) {
    self.records = records
    self.unreadable = unreadable
  }
}
