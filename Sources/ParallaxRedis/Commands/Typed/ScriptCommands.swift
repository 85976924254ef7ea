/// Scripts.
extension RedisTypedCommand where Reply: RedisReplyDecodable {
  /// Runs a script: EVALSHA, and EVAL with the source if the server lacks the script.
  ///
  /// Lua's numbers are returned as integers without their fraction, tables as arrays, `true` as 1, `false` and `nil` as null.
  ///
  /// - Parameters:
  ///   - script: The script.
  ///   - keys: The keys of the script, its `KEYS`.
  ///   - arguments: The other arguments, its `ARGV`; none by default.
  ///   - type: The type of the reply.
  /// - Returns: The command; it replies with the script's result.
  public static func evaluate(
    _ script: RedisScript, keys: [String], arguments: [RedisArgument] = [], as type: Reply.Type
  ) -> Self {
    Self(RedisCommand.evaluate(script, keys: keys, arguments: arguments))
  }
}

extension RedisTypedCommand<[Bool]> {
  /// Whether the server has each of the scripts.
  public static func scriptExists(_ scripts: RedisScript...) -> Self {
    Self(RedisCommand("SCRIPT", "EXISTS", list: scripts.map(\.sha1)).idempotent)
  }
}

extension RedisTypedCommand<Void> {
  /// Removes all scripts from the server; the client sends their sources again when they run.
  public static func scriptFlush() -> Self { Self(RedisCommand("SCRIPT", "FLUSH").idempotent) }
}
