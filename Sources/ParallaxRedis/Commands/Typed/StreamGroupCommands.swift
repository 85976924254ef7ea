/// Consumer groups of streams.
extension RedisTypedCommand<[RedisStreamEntry]> {
  /// Reads entries as a consumer of a group; none if there are none in time.
  ///
  /// - Parameters:
  ///   - key: The key.
  ///   - group: The group.
  ///   - consumer: The consumer, which need not be known yet.
  ///   - id: `>` for what no consumer has got yet; else the entries after the ID that this consumer has got and not acknowledged.
  ///   - count: How many entries to read at most; all if `nil`.
  ///   - wait: How long to wait for one, on a leased connection only; not at all if `nil`. It sets the command's time-out too, 5 s longer.
  ///     The server waits for ever if it is zero, the caller as long as ``withTimeout(_:)`` says.
  ///   - needsAcknowledgement: Whether the group remembers what it handed out until ``xack(_:group:_:)-(_,_,String...)``.
  /// - Returns: The command; it replies with the entries, none if there are none in time.
  public static func xreadgroup(
    _ key: String, group: String, consumer: String, after id: String = ">", count: Int? = nil, wait: Duration? = nil,
    needsAcknowledgement: Bool = true
  ) -> Self {
    Self(oneOf: .xreadgroup([(key, id)], group, consumer, count, wait, needsAcknowledgement))
  }
}

extension RedisTypedCommand<[String: [RedisStreamEntry]]> {
  /// Reads entries of several streams as a consumer of a group that each of them has; streams with none are left out.
  ///
  /// - Parameters:
  ///   - streams: The keys, with their IDs as in ``xreadgroup(_:group:consumer:after:count:wait:needsAcknowledgement:)``.
  ///   - group: The group.
  ///   - consumer: The consumer, which need not be known yet.
  ///   - count: How many entries of each to read at most; all if `nil`.
  ///   - wait: How long to wait for one, on a leased connection only; not at all if `nil`. It sets the command's time-out too, 5 s longer.
  ///     The server waits for ever if it is zero, the caller as long as ``withTimeout(_:)`` says.
  ///   - needsAcknowledgement: Whether the group remembers what it handed out until ``xack(_:group:_:)-(_,_,String...)``.
  /// - Returns: The command; it replies with the entries, none if there are none in time.
  public static func xreadgroup(
    _ streams: [String: String], group: String, consumer: String, count: Int? = nil, wait: Duration? = nil,
    needsAcknowledgement: Bool = true
  ) -> Self {
    Self(allOf: .xreadgroup(streams.map { ($0.key, $0.value) }, group, consumer, count, wait, needsAcknowledgement))
  }
}

extension RedisTypedCommand<Int> {
  /// Tells a group that entries have been handled, at least one; returns how many it had handed out.
  public static func xack(_ key: String, group: String, _ ids: String...) -> Self { xack(key, group: group, ids) }

  /// Tells a group that entries have been handled, at least one; returns how many it had handed out.
  public static func xack(_ key: String, group: String, _ ids: some Sequence<String>) -> Self {
    Self(RedisCommand("XACK", key, group, list: ids))
  }
}

extension RedisTypedCommand<Void> {
  /// Makes a group; the server answers `BUSYGROUP` if there is one already.
  ///
  /// - Parameters:
  ///   - key: The key.
  ///   - group: The group.
  ///   - id: After which entry it begins: `$` for the newest, `0` for all entries.
  ///   - makesStream: Whether the stream is made too if there is none.
  /// - Returns: The command.
  public static func xgroupCreate(_ key: String, group: String, after id: String = "$", makesStream: Bool = false) -> Self {
    var command = RedisCommand("XGROUP", "CREATE", key, group, id)
    if makesStream { command.append("MKSTREAM") }
    return Self(command)
  }
}

extension RedisTypedCommand<Bool> {
  /// Removes a group; returns whether there was one.
  public static func xgroupDestroy(_ key: String, group: String) -> Self { Self(RedisCommand("XGROUP", "DESTROY", key, group)) }
}

extension RedisTypedCommand<RedisStreamPending> {
  /// What a group has handed out and nobody acknowledged, in short.
  public static func xpending(_ key: String, group: String) -> Self {
    Self(RedisCommand("XPENDING", key, group).idempotent)
  }
}

extension RedisTypedCommand<RedisStreamClaim> {
  /// Takes over entries that other consumers got long ago and did not acknowledge.
  ///
  /// Redis 6.2 or later.
  ///
  /// - Parameters:
  ///   - key: The key.
  ///   - group: The group.
  ///   - consumer: Who takes them over.
  ///   - idle: How long ago they must have been handed out.
  ///   - id: Where to begin: ``RedisStreamClaim/next`` of the reply before, or `0-0`.
  ///   - count: How many at most; the server decides if `nil`.
  /// - Returns: The command; it replies with what was taken over, and where to go on.
  public static func xautoclaim(
    _ key: String, group: String, consumer: String, idle: Duration, from id: String = "0-0", count: Int? = nil
  ) -> Self {
    Self(RedisCommand("XAUTOCLAIM", key, group, consumer, idle.redisMilliseconds, id).counting(count))
  }
}

/// What a group has handed out and nobody acknowledged.
public struct RedisStreamPending: Sendable, Hashable, RedisReplyDecodable {
  /// How many entries.
  public let count: Int
  /// The ID of the oldest; `nil` if there are none.
  public let oldest: String?
  /// The ID of the newest; `nil` if there are none.
  public let newest: String?
  /// How many of them each consumer has.
  public let consumers: [String: Int]

  /// The short form of XPENDING.
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

/// What a consumer has taken over.
public struct RedisStreamClaim: Sendable, Hashable, RedisReplyDecodable {
  /// Where to go on; `0-0` when all were looked at.
  public let next: String
  /// The entries taken over.
  public let entries: [RedisStreamEntry]
  /// The IDs of entries that were deleted meanwhile, and are not pending any more; Redis 7.0 or later tells them.
  public let deleted: [String]

  /// The reply of XAUTOCLAIM.
  public init(reply: RESPValue) throws(RedisReplyMismatch) {
    let parts = try reply.elements("entries taken over", atLeast: 2)
    next = try parts.decoded(0)
    // Before Redis 7.0, null stands for an entry that was deleted.
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
