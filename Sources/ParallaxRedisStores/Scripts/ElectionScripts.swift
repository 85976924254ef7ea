import ParallaxRedis

/// The script over the election record, one string of JSON.
enum ElectionScripts {
  static let all = [compareAndSet]

  /// Writes the record if the stored bytes are the expected ones, and publishes it on the channel with the name of its key.
  ///
  /// A server with full memory accepts a renewal too (see `FullMemory`). The record is published after the write, and a user without the
  /// right to publish loses the hint only.
  ///
  ///     KEYS  1 record
  ///     ARGV  1 the expected bytes, empty for no record, 2 the new ones
  ///     →     {written} | {conflict, the stored bytes or nothing}
  static let compareAndSet = RedisScript(
    """
    local stored = redis.call('GET', KEYS[1])
    if stored ~= (ARGV[1] ~= '' and ARGV[1]) then return {'conflict', stored} end
    \(FullMemory.admission)
    redis.call('SET', KEYS[1], ARGV[2])
    redis.pcall('PUBLISH', KEYS[1], ARGV[2])
    return {'written'}
    """)
}
