import ParallaxRedis

/// The scripts over the hash of the node sessions, which has one field per session: the number of its openings.
enum NodeScripts {
  static let all = [open, close]

  /// Counts an opening of a session; a server with full memory accepts the write too (see `FullMemory`).
  ///
  ///     KEYS  1 sessions
  ///     ARGV  1 session
  ///     →     how often it has been opened
  static let open = RedisScript(
    """
    \(FullMemory.admission)
    return redis.call('HINCRBY', KEYS[1], ARGV[1], 1)
    """)

  /// Removes a session from the list unless it has been opened again.
  ///
  ///     KEYS  1 sessions
  ///     ARGV  1 session, 2 how often it had been opened
  ///     →     how many fields were removed, 0 or 1
  static let close = RedisScript(
    """
    if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then return 0 end
    return redis.call('HDEL', KEYS[1], ARGV[1])
    """)
}
