/// A type-erased membership store, for a program that chooses its store at run time.
public struct AnyMembershipStore: MembershipStore {
  private let base: any MembershipStore

  /// Wraps a store.
  ///
  /// - Parameter base: The store that receives every call.
  public init(_ base: any MembershipStore) {
    self.base = base
  }

  /// Writes a node's field, unless another session of the node holds it.
  ///
  /// - Parameters:
  ///   - record: The record.
  ///   - incarnation: The former incarnation of the same node id that may be replaced; nil for none.
  /// - Returns: The former content of the field, or its holder.
  /// - Throws: The error of the wrapped store.
  public func write(_ record: MemberRecord, replacing incarnation: String?) async throws -> MemberWriteOutcome {
    try await base.write(record, replacing: incarnation)
  }

  /// Reads all fields atomically.
  ///
  /// - Returns: The records, and the ids of unreadable fields.
  /// - Throws: The error of the wrapped store.
  public func members() async throws -> MembershipSnapshot { try await base.members() }

  /// Removes a node's field if it has this incarnation; else does nothing.
  ///
  /// - Parameter session: The session whose field is removed.
  /// - Throws: The error of the wrapped store.
  public func remove(_ session: NodeSession) async throws { try await base.remove(session) }

  /// Marks a node's field as that of a process that has ended, if the field has this incarnation; else does nothing.
  ///
  /// - Parameters:
  ///   - session: The session whose process has ended.
  ///   - end: When and how it ended.
  /// - Returns: Whether the field has a mark now.
  /// - Throws: The error of the wrapped store.
  public func markEnded(_ session: NodeSession, _ end: MemberEnd) async throws -> Bool { try await base.markEnded(session, end) }
}
