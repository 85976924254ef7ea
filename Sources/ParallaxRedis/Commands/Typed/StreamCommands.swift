/// Streams.
extension RedisTypedCommand<String> {
  /// Adds an entry; returns its ID.
  ///
  /// - Parameters:
  ///   - key: The key.
  ///   - fields: What to add, at least one field.
  ///   - id: Its ID, greater than all others; the server makes one if `*`.
  ///   - trim: Which of the oldest entries to remove; none if `nil`.
  /// - Returns: The command; it replies with the ID.
  public static func xadd(_ key: String, _ fields: RedisFields, id: String = "*", trim: RedisStreamTrim? = nil) -> Self {
    var command = RedisCommand("XADD", key)
    if let trim { command.append(trim.arguments) }
    command.append(id)
    command.append(fields.arguments)
    return Self(command)
  }
}

extension RedisTypedCommand<Int> {
  /// The number of entries; 0 if there is no such key.
  public static func xlen(_ key: String) -> Self { Self(RedisCommand("XLEN", key).idempotent) }

  /// Removes entries, at least one; returns how many there were.
  public static func xdel(_ key: String, _ ids: String...) -> Self { xdel(key, ids) }

  /// Removes entries, at least one; returns how many there were.
  public static func xdel(_ key: String, _ ids: some Sequence<String>) -> Self { Self(RedisCommand("XDEL", key, list: ids)) }

  /// Removes the oldest entries; returns how many.
  public static func xtrim(_ key: String, _ trim: RedisStreamTrim) -> Self { Self(RedisCommand("XTRIM", key, list: trim.arguments)) }
}

extension RedisTypedCommand<[RedisStreamEntry]> {
  /// Reads the entries of a range of IDs, the oldest first.
  ///
  /// - Parameters:
  ///   - key: The key.
  ///   - first: The first ID, `(` before one that is just outside; `-` for the oldest.
  ///   - last: The last ID, likewise; `+` for the newest.
  ///   - count: How many entries to read at most; all if `nil`.
  /// - Returns: The command; it replies with the entries.
  public static func xrange(_ key: String, from first: String = "-", through last: String = "+", count: Int? = nil) -> Self {
    Self(RedisCommand("XRANGE", key, first, last).counting(count).idempotent)
  }

  /// Reads the entries of a range of IDs, the newest first.
  ///
  /// - Parameters:
  ///   - key: The key.
  ///   - first: The greatest ID, `(` before one that is just outside; `+` for the newest.
  ///   - last: The smallest ID, likewise; `-` for the oldest.
  ///   - count: How many entries to read at most; all if `nil`.
  /// - Returns: The command; it replies with the entries.
  public static func xrevrange(_ key: String, from first: String = "+", through last: String = "-", count: Int? = nil) -> Self {
    Self(RedisCommand("XREVRANGE", key, first, last).counting(count).idempotent)
  }

  /// Reads the entries after an ID; none if there are none in time.
  ///
  /// - Parameters:
  ///   - key: The key.
  ///   - id: The ID; `$` for what is added from now on.
  ///   - count: How many entries to read at most; all if `nil`.
  ///   - wait: How long to wait for one, on a leased connection only; not at all if `nil`. It sets the command's time-out too, 5 s longer.
  ///     The server waits for ever if it is zero, the caller as long as ``withTimeout(_:)`` says.
  /// - Returns: The command; it replies with the entries, none if there are none in time.
  public static func xread(_ key: String, after id: String, count: Int? = nil, wait: Duration? = nil) -> Self {
    Self(oneOf: .xread([(key, id)], count, wait))
  }
}

extension RedisTypedCommand<[String: [RedisStreamEntry]]> {
  /// Reads the entries after an ID in each of several streams; streams with none are left out.
  ///
  /// - Parameters:
  ///   - streams: The keys, with their IDs as in ``xread(_:after:count:wait:)``.
  ///   - count: How many entries of each to read at most; all if `nil`.
  ///   - wait: How long to wait for one, on a leased connection only; not at all if `nil`. It sets the command's time-out too, 5 s longer.
  ///     The server waits for ever if it is zero, the caller as long as ``withTimeout(_:)`` says.
  /// - Returns: The command; it replies with the entries, none if there are none in time.
  public static func xread(_ streams: [String: String], count: Int? = nil, wait: Duration? = nil) -> Self {
    Self(allOf: .xread(streams.map { ($0.key, $0.value) }, count, wait))
  }
}

/// Which of the oldest entries are removed from a stream.
public struct RedisStreamTrim: Sendable, Hashable {
  let arguments: [RedisArgument]

  /// All but the newest so many: `MAXLEN`.
  ///
  /// - Parameters:
  ///   - length: How many are kept.
  ///   - exact: Whether no more are kept; the server has less work if a few may be.
  /// - Returns: What XADD and XTRIM take.
  public static func length(_ length: Int, exact: Bool = false) -> RedisStreamTrim {
    RedisStreamTrim(arguments: ["MAXLEN", exact ? "=" : "~", RedisArgument(length)])
  }

  /// All before an ID: `MINID`.
  ///
  /// Redis 6.2 or later.
  ///
  /// - Parameters:
  ///   - id: The oldest ID that is kept.
  ///   - exact: Whether no others are kept; the server has less work if a few may be.
  /// - Returns: What XADD and XTRIM take.
  public static func before(_ id: String, exact: Bool = false) -> RedisStreamTrim {
    RedisStreamTrim(arguments: ["MINID", exact ? "=" : "~", RedisArgument(id)])
  }
}

extension RedisTypedCommand<[RedisStreamEntry]> {
  /// A command that reads one stream, though it might read several.
  init(oneOf command: RedisCommand) {
    self.init(command) { (reply) throws(RedisReplyMismatch) in
      try RedisStreamEntries(reply: reply).byKey.values.first ?? []
    }
  }
}

extension RedisTypedCommand<[String: [RedisStreamEntry]]> {
  /// A command that reads several streams.
  init(allOf command: RedisCommand) {
    self.init(command) { (reply) throws(RedisReplyMismatch) in try RedisStreamEntries(reply: reply).byKey }
  }
}

extension RedisCommand {
  fileprivate static func xread(_ streams: [(key: String, id: String)], _ count: Int?, _ wait: Duration?) -> RedisCommand {
    // What comes after `$` depends on when it is asked.
    let isRepeatable = streams.allSatisfy { $0.id != "$" }
    var command = RedisCommand("XREAD").counting(count).waiting(wait).reading(streams)
    command.isIdempotent = isRepeatable
    return command
  }

  func counting(_ count: Int?) -> RedisCommand {
    guard let count else { return self }
    var copy = self
    copy.append(["COUNT", RedisArgument(count)])
    return copy
  }

  func waiting(_ wait: Duration?) -> RedisCommand {
    guard let wait else { return self }
    var copy = withTimeout(blocking: wait)
    copy.append(["BLOCK", RedisArgument(wait.redisMilliseconds)])
    return copy
  }

  func reading(_ streams: [(key: String, id: String)]) -> RedisCommand {
    var copy = self
    copy.append("STREAMS")
    copy.append(streams.map { RedisArgument($0.key) } + streams.map { RedisArgument($0.id) })
    return copy
  }
}
