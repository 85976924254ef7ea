/// Scripts.
extension RedisTypedCommand where Reply: RedisReplyDecodable {
  /// Runs a script: EVALSHA, and EVAL with the source if the server does not know it.
  ///
  /// Lua's numbers come back as integers, cut where they have a fraction, its tables as arrays, `true` as 1, `false` and `nil` as null.
  ///
  /// - Parameters:
  ///   - script: The script.
  ///   - keys: The keys it touches, `KEYS` in the script.
  ///   - arguments: Its other arguments, `ARGV` in the script.
  ///   - type: The type of what it returns.
  /// - Returns: The command; it replies with what the script returns.
  public static func evaluate(
    _ script: RedisScript, keys: [String], arguments: [RedisArgument] = [], as type: Reply.Type
  ) -> Self {
    Self(RedisCommand.evaluate(script, keys: keys, arguments: arguments))
  }
}

extension RedisTypedCommand<[Bool]> {
  /// Whether the server knows each of the scripts.
  public static func scriptExists(_ scripts: RedisScript...) -> Self {
    Self(RedisCommand("SCRIPT", "EXISTS", list: scripts.map(\.sha1)).idempotent)
  }
}

extension RedisTypedCommand<Void> {
  /// Makes the server forget all scripts; the client sends their sources again when they are run.
  public static func scriptFlush() -> Self { Self(RedisCommand("SCRIPT", "FLUSH").idempotent) }
}
