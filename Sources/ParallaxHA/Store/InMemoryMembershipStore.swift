import Synchronization

/// Keeps the members' fields in memory: for embedded nodes, tests and simulations.
public final class InMemoryMembershipStore: MembershipStore {
  private let fields = Mutex<[String: MemberRecord]>([:])

  /// Creates a store without members.
  public init() {}

  /// Writes a node's field, unless another session of the node holds it.
  public func write(_ record: MemberRecord, replacing incarnation: String?) -> MemberWriteOutcome {
    fields.withLock { fields in
      let former = fields[record.id]
      if let former, former.incarnation != record.incarnation, former.incarnation != incarnation { return .twin(former) }
      fields[record.id] = record
      guard let former else { return .added }
      return former.incarnation == record.incarnation ? .renewed : .replaced
    }
  }

  /// The current fields.
  public func members() -> MembershipSnapshot {
    MembershipSnapshot(records: fields.withLock { Array($0.values) })
  }

  /// Removes a node's field if it has this incarnation; else does nothing.
  public func remove(_ session: NodeSession) {
    fields.withLock { fields in
      if fields[session.nodeID]?.incarnation == session.incarnation { fields[session.nodeID] = nil }
    }
  }

  /// Marks a node's field as that of a process that has ended, if the field has this incarnation; else does nothing.
  public func markEnded(_ session: NodeSession, _ end: MemberEnd) -> Bool {
    fields.withLock { fields in
      guard let record = fields[session.nodeID], record.incarnation == session.incarnation else { return false }
      if record.end == nil { fields[session.nodeID]?.end = end }
      return true
    }
  }
}
