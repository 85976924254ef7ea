import ParallaxRedis

/// The scripts over the hash of the members, which has one field of JSON per node id.
enum MembershipScripts {
  static let all = [write, remove, exchange]

  /// Writes a node's field unless another incarnation holds it; a server with full memory accepts the write too (see `FullMemory`).
  ///
  ///     KEYS  1 members
  ///     ARGV  1 node id, 2 incarnation, 3 the incarnation that may be written over, or empty, 4 JSON
  ///     →     {added} | {renewed} | {replaced} | {twin, JSON of the holder} | {unreadable}
  static let write = RedisScript(
    """
    local text = redis.call('HGET', KEYS[1], ARGV[1])
    local outcome = 'added'
    if text then
      local readable, former = pcall(cjson.decode, text)
      if not readable or type(former) ~= 'table' or type(former.incarnation) ~= 'string' then return {'unreadable'} end
      if former.incarnation == ARGV[2] then outcome = 'renewed'
      elseif former.incarnation == ARGV[3] then outcome = 'replaced'
      else return {'twin', text} end
    end
    \(FullMemory.admission)
    redis.call('HSET', KEYS[1], ARGV[1], ARGV[4])
    return {outcome}
    """)

  /// Removes a node's field if it has the given incarnation.
  ///
  ///     KEYS  1 members
  ///     ARGV  1 node id, 2 incarnation
  ///     →     how many fields were removed, 0 or 1
  static let remove = RedisScript(
    """
    local text = redis.call('HGET', KEYS[1], ARGV[1])
    if not text then return 0 end
    local readable, former = pcall(cjson.decode, text)
    if not readable or type(former) ~= 'table' or former.incarnation ~= ARGV[2] then return 0 end
    return redis.call('HDEL', KEYS[1], ARGV[1])
    """)

  /// Replaces a node's field if it has the expected text; a server with full memory accepts the write too (see `FullMemory`).
  ///
  ///     KEYS  1 members
  ///     ARGV  1 node id, 2 the expected JSON, 3 the new one
  ///     →     1 if the field was replaced, else 0
  static let exchange = RedisScript(
    """
    if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then return 0 end
    \(FullMemory.admission)
    redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
    return 1
    """)
}
