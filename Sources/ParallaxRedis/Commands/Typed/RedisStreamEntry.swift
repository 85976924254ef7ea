public import NIOCore

/// An entry of a stream.
public struct RedisStreamEntry: Sendable, Hashable {
  /// A name with its value.
  public struct Field: Sendable, Hashable {
    /// The name.
    public let name: String
    /// The value.
    public let value: ByteBuffer
  }

  /// The ID of the entry in the stream, such as `1690000000000-0`.
  public let id: String

  /// The fields in the order of XADD.
  ///
  /// Empty if ``isDeleted``.
  public let fields: [Field]

  /// Whether only the ID remains: a consumer read again an entry that was delivered to it and deleted since.
  public let isDeleted: Bool

  /// The value of the first field with a name; `nil` if there is none.
  public subscript(name: String) -> ByteBuffer? { fields.first { $0.name == name }?.value }
}

extension RedisStreamEntry: RedisReplyDecodable {
  /// Decodes an ID with its fields, or with null.
  public init(reply: RESPValue) throws(RedisReplyMismatch) {
    let parts = try reply.elements("an entry of a stream", atLeast: 2)
    id = try parts.decoded(0)
    isDeleted = parts[1].isNull
    fields =
      isDeleted
      ? []
      : try parts.decoded(1) { (value) throws(RedisReplyMismatch) in
        let flat = try value.elements("fields with values")
        guard flat.count.isMultiple(of: 2) else { throw RedisReplyMismatch(expected: "fields with values", found: value) }
        var fields: [Field] = []
        fields.reserveCapacity(flat.count / 2)
        for index in stride(from: 0, to: flat.count, by: 2) {
          fields.append(Field(name: try flat.decoded(index), value: try flat.decoded(index + 1)))
        }
        return fields
      }
  }
}

/// The entries of several streams by key, without streams that have none.
struct RedisStreamEntries: RedisReplyDecodable {
  let byKey: [String: [RedisStreamEntry]]

  /// RESP3 has a map, RESP2 an array of pairs; both have null for no entries.
  init(reply: RESPValue) throws(RedisReplyMismatch) {
    switch reply {
    case .null: byKey = [:]
    case .array(let pairs):
      var entries: [String: [RedisStreamEntry]] = [:]
      for index in pairs.indices {
        let pair = try pairs.decoded(index) { (pair) throws(RedisReplyMismatch) in try pair.elements("a key with entries", atLeast: 2) }
        entries[try pair.decoded(0)] = try pair.decoded(1, as: [RedisStreamEntry].self)
      }
      byKey = entries
    case .map: byKey = try [String: [RedisStreamEntry]](reply: reply)
    default: throw RedisReplyMismatch(expected: "entries by keys", found: reply)
    }
  }
}
