import ParallaxRedis

/// The scripts over one index: the list of a session's executions or agents, or the executions or minutes by time.
///
/// A server with full memory accepts the writes (see `FullMemory`): they accompany admitted writes of hashes. The entries of new
/// executions, which wait for memory, are plain commands.
enum IndexScripts {
  static let all = [list, date]

  /// Adds an id to a session's list.
  ///
  ///     KEYS  1 list
  ///     ARGV  1 id
  ///     →     how many ids were added, 0 or 1
  static let list = RedisScript(
    """
    \(FullMemory.admission)
    return redis.call('SADD', KEYS[1], ARGV[1])
    """)

  /// Adds an entry to an index by time.
  ///
  ///     KEYS  1 index
  ///     ARGV  1 time, 2 entry
  ///     →     how many entries were added, 0 or 1
  static let date = RedisScript(
    """
    \(FullMemory.admission)
    return redis.call('ZADD', KEYS[1], ARGV[1], ARGV[2])
    """)
}
