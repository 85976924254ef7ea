import ParallaxRedis

/// The script over the hash of the node sessions, which has one field per session: how often it was opened.
enum NodeScripts {
  /// Takes a session off the list unless it has been opened more often.
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
