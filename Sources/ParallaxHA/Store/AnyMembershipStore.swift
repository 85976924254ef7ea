/// Any membership store, for a program that chooses its store when it runs.
public struct AnyMembershipStore: MembershipStore {
  private let base: any MembershipStore

  /// Wraps a store.
  ///
  /// - Parameter base: The store that every call goes to.
  public init(_ base: any MembershipStore) {
    self.base = base
  }

  /// Writes a node's field, unless another life of the node holds it.
  ///
  /// - Parameters:
  ///   - record: What to write.
  ///   - incarnation: The former life of the same node id that may be written over; nil for none.
  /// - Returns: What was there before, or who holds the field.
  /// - Throws: What the wrapped store throws.
  public func write(_ record: MemberRecord, replacing incarnation: String?) async throws -> MemberWriteOutcome {
    try await base.write(record, replacing: incarnation)
  }

  /// Reads all fields as they stand at one moment.
  ///
  /// - Returns: The records, and the ids of the fields that cannot be read.
  /// - Throws: What the wrapped store throws.
  public func members() async throws -> MembershipSnapshot { try await base.members() }

  /// Removes a node's field if it is of this incarnation; else does nothing.
  ///
  /// - Parameter session: The life of the node whose field is to go.
  /// - Throws: What the wrapped store throws.
  public func remove(_ session: NodeSession) async throws { try await base.remove(session) }
}
