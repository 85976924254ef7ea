/// Where the members of a cluster keep their fields: one ``MemberRecord`` per node id.
///
/// A call that throws may or may not have taken effect; each may be repeated with the same arguments. The conformance suite
/// `MembershipStoreConformance` in `ParallaxTesting` states what an implementation has to do.
public protocol MembershipStore: Sendable {
  /// Writes a node's field, unless another life of the node holds it.
  ///
  /// The check and the write are one atomic step. The field is written when there is none, when it is of the record's own incarnation, and
  /// when it is of the incarnation that is to be `replaced`. A process that starts names the former life that it found; from then
  /// on it names none, and so notices when its field was taken.
  ///
  /// - Parameters:
  ///   - record: What to write.
  ///   - incarnation: The former life of the same node id that may be written over; nil for none.
  /// - Returns: What was there before, or who holds the field.
  /// - Throws: What the store's client throws; ``MembershipError`` with `unreadable` if the field cannot be understood.
  func write(_ record: MemberRecord, replacing incarnation: String?) async throws -> MemberWriteOutcome

  /// Reads all fields as they stand at one moment.
  ///
  /// - Returns: The records, and the ids of the fields that cannot be read; those must not hide the others.
  /// - Throws: What the store's client throws.
  func members() async throws -> MembershipSnapshot

  /// Removes a node's field if it is of this incarnation; else does nothing.
  ///
  /// - Parameter session: The life of the node whose field is to go.
  /// - Throws: What the store's client throws.
  func remove(_ session: NodeSession) async throws
}

/// What came of writing a node's field.
public enum MemberWriteOutcome: Sendable, Hashable {
  /// Written; there was no field.
  case added
  /// Written over an earlier record of the same incarnation.
  case renewed
  /// Written over the incarnation that was to be replaced.
  case replaced
  /// Not written: another incarnation of the same node id holds the field.
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
