import ParallaxRedis

/// The script over the election record, one string of JSON.
enum ElectionScripts {
  static let all = [compareAndSet]

  /// Writes the record if the stored bytes are the expected ones, and publishes it on the channel that is named like its key.
  ///
  ///     KEYS  1 record
  ///     ARGV  1 the expected bytes, empty for no record, 2 the new ones
  ///     →     {written} | {conflict, the stored bytes or nothing}
  static let compareAndSet = RedisScript(
    """
    local stored = redis.call('GET', KEYS[1])
    if stored ~= (ARGV[1] ~= '' and ARGV[1]) then return {'conflict', stored} end
    redis.call('SET', KEYS[1], ARGV[2])
    redis.call('PUBLISH', KEYS[1], ARGV[2])
    return {'written'}
    """)
}
