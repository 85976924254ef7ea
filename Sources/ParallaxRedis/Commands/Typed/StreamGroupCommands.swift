/// Consumer groups of streams.
extension RedisTypedCommand<[RedisStreamEntry]> {
  /// Reads entries as a consumer of a group; empty if none arrives in time.
  ///
  /// - Parameters:
  ///   - key: The key.
  ///   - group: The group.
  ///   - consumer: The consumer, which is created if necessary.
  ///   - id: `>`, the default, for entries that no consumer has received; else the unacknowledged entries of this consumer after the ID.
  ///   - count: The maximum number of entries; `nil`, the default, for all.
  ///   - wait: How long to wait for an entry, on a leased connection only; `nil`, the default, for no wait. The command's time-out becomes
  ///     5 s longer. With zero the server waits forever, and the caller for the time-out of ``withTimeout(_:)``.
  ///   - needsAcknowledgement: Whether the entries stay pending until ``xack(_:group:_:)-(_,_,String...)``; `true` by default.
  /// - Returns: The command; it replies with the entries.
  public static func xreadgroup(
    _ key: String, group: String, consumer: String, after id: String = ">", count: Int? = nil, wait: Duration? = nil,
    needsAcknowledgement: Bool = true
  ) -> Self {
    Self(oneOf: .xreadgroup([(key, id)], group, consumer, count, wait, needsAcknowledgement))
  }
}

extension RedisTypedCommand<[String: [RedisStreamEntry]]> {
  /// Reads entries of several streams as a consumer of a group of the same name in each, without streams that have none.
  ///
  /// - Parameters:
  ///   - streams: The keys, with their IDs as in ``xreadgroup(_:group:consumer:after:count:wait:needsAcknowledgement:)``.
  ///   - group: The group.
  ///   - consumer: The consumer, which is created if necessary.
  ///   - count: The maximum number of entries per stream; `nil`, the default, for all.
  ///   - wait: How long to wait for an entry, on a leased connection only; `nil`, the default, for no wait. The command's time-out becomes
  ///     5 s longer. With zero the server waits forever, and the caller for the time-out of ``withTimeout(_:)``.
  ///   - needsAcknowledgement: Whether the entries stay pending until ``xack(_:group:_:)-(_,_,String...)``; `true` by default.
  /// - Returns: The command; it replies with the entries.
  public static func xreadgroup(
    _ streams: [String: String], group: String, consumer: String, count: Int? = nil, wait: Duration? = nil,
    needsAcknowledgement: Bool = true
  ) -> Self {
    Self(allOf: .xreadgroup(streams.map { ($0.key, $0.value) }, group, consumer, count, wait, needsAcknowledgement))
  }
}

extension RedisTypedCommand<Int> {
  /// Acknowledges entries, at least one; returns how many were pending.
  public static func xack(_ key: String, group: String, _ ids: String...) -> Self { xack(key, group: group, ids) }

  /// Acknowledges entries, at least one; returns how many were pending.
  public static func xack(_ key: String, group: String, _ ids: some Sequence<String>) -> Self {
    Self(RedisCommand("XACK", key, group, list: ids))
  }
}

extension RedisTypedCommand<Void> {
  /// Creates a group; the server answers `BUSYGROUP` if it exists.
  ///
  /// - Parameters:
  ///   - key: The key.
  ///   - group: The group.
  ///   - id: The entry after which the group begins: `$`, the default, for the newest, `0` for all entries.
  ///   - makesStream: Whether to create a missing stream; `false` by default.
  /// - Returns: The command.
  public static func xgroupCreate(_ key: String, group: String, after id: String = "$", makesStream: Bool = false) -> Self {
    var command = RedisCommand("XGROUP", "CREATE", key, group, id)
    if makesStream { command.append("MKSTREAM") }
    return Self(command)
  }
}

extension RedisTypedCommand<Bool> {
  /// Removes a group; returns whether it existed.
  public static func xgroupDestroy(_ key: String, group: String) -> Self { Self(RedisCommand("XGROUP", "DESTROY", key, group)) }
}

extension RedisTypedCommand<RedisStreamPending> {
  /// A summary of a group's unacknowledged entries.
  public static func xpending(_ key: String, group: String) -> Self {
    Self(RedisCommand("XPENDING", key, group).idempotent)
  }
}

extension RedisTypedCommand<RedisStreamClaim> {
  /// Takes over entries that other consumers received long ago and have not acknowledged.
  ///
  /// Redis 6.2 or later.
  ///
  /// - Parameters:
  ///   - key: The key.
  ///   - group: The group.
  ///   - consumer: The new consumer.
  ///   - idle: The minimum time since the delivery.
  ///   - id: The place to begin: ``RedisStreamClaim/next`` of the reply before, or `0-0`, the default.
  ///   - count: The maximum number of entries; `nil`, the default, leaves it to the server.
  /// - Returns: The command; it replies with the entries and the place to continue.
  public static func xautoclaim(
    _ key: String, group: String, consumer: String, idle: Duration, from id: String = "0-0", count: Int? = nil
  ) -> Self {
    Self(RedisCommand("XAUTOCLAIM", key, group, consumer, idle.redisMilliseconds, id).counting(count))
  }
}

/// A summary of a group's unacknowledged entries.
public struct RedisStreamPending: Sendable, Hashable, RedisReplyDecodable {
  /// The number of entries.
  public let count: Int
  /// The ID of the oldest entry; `nil` if there is none.
  public let oldest: String?
  /// The ID of the newest entry; `nil` if there is none.
  public let newest: String?
  /// The number of entries of each consumer.
  public let consumers: [String: Int]

  /// Decodes the short form of XPENDING.
  public init(reply: RESPValue) throws(RedisReplyMismatch) {
    let parts = try reply.elements("a summary of pending entries", atLeast: 4)
    count = try parts.decoded(0)
    oldest = try parts.decoded(1)
    newest = try parts.decoded(2)
    let pairs = try parts.decoded(3, as: [RESPValue]?.self) ?? []
    var consumers: [String: Int] = [:]
    for pair in pairs {
      let pair = try pair.elements("a consumer with a count", atLeast: 2)
      consumers[try pair.decoded(0)] = try pair.decoded(1, as: Int.self)
    }
    self.consumers = consumers
  }
}

/// The entries that a consumer has taken over.
public struct RedisStreamClaim: Sendable, Hashable, RedisReplyDecodable {
  /// The place to continue; `0-0` at the end.
  public let next: String
  /// The entries taken over.
  public let entries: [RedisStreamEntry]
  /// The IDs of deleted entries, which are no longer pending; empty before Redis 7.0.
  public let deleted: [String]

  /// Decodes the reply to XAUTOCLAIM.
  public init(reply: RESPValue) throws(RedisReplyMismatch) {
    let parts = try reply.elements("entries taken over", atLeast: 2)
    next = try parts.decoded(0)
    // Before Redis 7.0, null stands for a deleted entry.
    entries = try parts.decoded(1, as: [RedisStreamEntry?].self).compactMap(\.self)
    deleted = parts.count > 2 ? try parts.decoded(2) : []
  }
}

extension RedisCommand {
  fileprivate static func xreadgroup(
    _ streams: [(key: String, id: String)], _ group: String, _ consumer: String, _ count: Int?, _ wait: Duration?,
    _ needsAcknowledgement: Bool
  ) -> RedisCommand {
    // BLOCK comes before NOACK, where the client looks for it.
    var command = RedisCommand("XREADGROUP", "GROUP", group, consumer).counting(count).waiting(wait)
    if !needsAcknowledgement { command.append("NOACK") }
    return command.reading(streams)
  }
}
