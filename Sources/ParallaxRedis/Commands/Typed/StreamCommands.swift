/// Streams.
extension RedisTypedCommand<String> {
  /// Adds an entry; returns its ID.
  ///
  /// - Parameters:
  ///   - key: The key.
  ///   - fields: The fields of the entry, at least one.
  ///   - id: The ID, which must be greater than all others; with `*`, the default, the server assigns one.
  ///   - trim: The oldest entries to remove; `nil`, the default, for none.
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
  /// The number of entries; 0 for a missing key.
  public static func xlen(_ key: String) -> Self { Self(RedisCommand("XLEN", key).idempotent) }

  /// Removes entries, at least one; returns how many existed.
  public static func xdel(_ key: String, _ ids: String...) -> Self { xdel(key, ids) }

  /// Removes entries, at least one; returns how many existed.
  public static func xdel(_ key: String, _ ids: some Sequence<String>) -> Self { Self(RedisCommand("XDEL", key, list: ids)) }

  /// Removes the oldest entries; returns how many.
  public static func xtrim(_ key: String, _ trim: RedisStreamTrim) -> Self { Self(RedisCommand("XTRIM", key, list: trim.arguments)) }
}

extension RedisTypedCommand<[RedisStreamEntry]> {
  /// Reads the entries of a range of IDs, the oldest first.
  ///
  /// - Parameters:
  ///   - key: The key.
  ///   - first: The first ID, with `(` before an exclusive one; `-`, the default, for the oldest.
  ///   - last: The last ID, likewise; `+`, the default, for the newest.
  ///   - count: The maximum number of entries; `nil`, the default, for all.
  /// - Returns: The command; it replies with the entries.
  public static func xrange(_ key: String, from first: String = "-", through last: String = "+", count: Int? = nil) -> Self {
    Self(RedisCommand("XRANGE", key, first, last).counting(count).idempotent)
  }

  /// Reads the entries of a range of IDs, the newest first.
  ///
  /// - Parameters:
  ///   - key: The key.
  ///   - first: The greatest ID, with `(` before an exclusive one; `+`, the default, for the newest.
  ///   - last: The smallest ID, likewise; `-`, the default, for the oldest.
  ///   - count: The maximum number of entries; `nil`, the default, for all.
  /// - Returns: The command; it replies with the entries.
  public static func xrevrange(_ key: String, from first: String = "+", through last: String = "-", count: Int? = nil) -> Self {
    Self(RedisCommand("XREVRANGE", key, first, last).counting(count).idempotent)
  }

  /// Reads the entries after an ID; empty if none arrives in time.
  ///
  /// - Parameters:
  ///   - key: The key.
  ///   - id: The ID; `$` for entries added from now on.
  ///   - count: The maximum number of entries; `nil`, the default, for all.
  ///   - wait: How long to wait for an entry, on a leased connection only; `nil`, the default, for no wait. The command's time-out becomes
  ///     5 s longer. With zero the server waits forever, and the caller for the time-out of ``withTimeout(_:)``.
  /// - Returns: The command; it replies with the entries.
  public static func xread(_ key: String, after id: String, count: Int? = nil, wait: Duration? = nil) -> Self {
    Self(oneOf: .xread([(key, id)], count, wait))
  }
}

extension RedisTypedCommand<[String: [RedisStreamEntry]]> {
  /// Reads the entries after an ID in each of several streams, without streams that have none.
  ///
  /// - Parameters:
  ///   - streams: The keys, with their IDs as in ``xread(_:after:count:wait:)``.
  ///   - count: The maximum number of entries per stream; `nil`, the default, for all.
  ///   - wait: How long to wait for an entry, on a leased connection only; `nil`, the default, for no wait. The command's time-out becomes
  ///     5 s longer. With zero the server waits forever, and the caller for the time-out of ``withTimeout(_:)``.
  /// - Returns: The command; it replies with the entries.
  public static func xread(_ streams: [String: String], count: Int? = nil, wait: Duration? = nil) -> Self {
    Self(allOf: .xread(streams.map { ($0.key, $0.value) }, count, wait))
  }
}

/// The oldest entries of a stream that are removed.
public struct RedisStreamTrim: Sendable, Hashable {
  let arguments: [RedisArgument]

  /// All but the newest `length` entries: `MAXLEN`.
  ///
  /// - Parameters:
  ///   - length: The number of entries to keep.
  ///   - exact: Whether to keep exactly that number; `false`, the default, lets the server keep a few more at a smaller cost.
  /// - Returns: The trimming for XADD and XTRIM.
  public static func length(_ length: Int, exact: Bool = false) -> RedisStreamTrim {
    RedisStreamTrim(arguments: ["MAXLEN", exact ? "=" : "~", RedisArgument(length)])
  }

  /// All entries before an ID: `MINID`.
  ///
  /// Redis 6.2 or later.
  ///
  /// - Parameters:
  ///   - id: The oldest ID to keep.
  ///   - exact: Whether to keep no older entry; `false`, the default, lets the server keep a few at a smaller cost.
  /// - Returns: The trimming for XADD and XTRIM.
  public static func before(_ id: String, exact: Bool = false) -> RedisStreamTrim {
    RedisStreamTrim(arguments: ["MINID", exact ? "=" : "~", RedisArgument(id)])
  }
}

extension RedisTypedCommand<[RedisStreamEntry]> {
  /// A command that reads a single stream with a command for several.
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
    // A repeat would read from a later `$`.
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
