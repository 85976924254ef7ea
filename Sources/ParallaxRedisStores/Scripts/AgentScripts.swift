import ParallaxRedis

/// The scripts over one agent's hash.
///
/// The hash of a removed agent has no `nodeId`. It keeps the epoch for a while, so that epochs rise further when the agent returns. All
/// scripts answer `unreadable` to a hash of a newer format and do not change it. A server with full memory accepts all (see `FullMemory`):
/// an agent that returns has work whose end frees memory.
enum AgentScripts {
  static let all = [register, update, remove]

  /// How long a removed agent's epoch is kept: longer than the pause after which a node may still send a removal.
  static let epochLifetime: Duration = .seconds(3_600)

  /// Writes a registration under the next epoch.
  ///
  ///     KEYS  1 agent
  ///     ARGV  1 format version, 2 an epoch that the new one must exceed, then fields and values
  ///     →     {registered, epoch, nodeId and incarnation of the registration before or nothing} | {unreadable}
  static let register = RedisScript(
    """
    local former = redis.call('HMGET', KEYS[1], 'version', 'epoch', 'nodeId', 'incarnation')
    if former[1] and tonumber(former[1]) > tonumber(ARGV[1]) then return {'unreadable'} end
    local epoch = string.format('%.0f', math.max(tonumber(former[2] or 0), tonumber(ARGV[2])) + 1)
    \(FullMemory.admission)
    redis.call('DEL', KEYS[1])
    redis.call('HSET', KEYS[1], 'epoch', epoch, unpack(ARGV, 3))
    return {'registered', epoch, former[3], former[4]}
    """)

  /// Writes fields of the registration with a given epoch.
  ///
  ///     KEYS  1 agent
  ///     ARGV  1 format version, 2 epoch, then fields and values
  ///     →     applied | stale | unreadable
  static let update = RedisScript(
    """
    local now = redis.call('HMGET', KEYS[1], 'version', 'epoch', 'nodeId')
    if now[1] and tonumber(now[1]) > tonumber(ARGV[1]) then return 'unreadable' end
    if not now[3] or now[2] ~= ARGV[2] then return 'stale' end
    \(FullMemory.admission)
    redis.call('HSET', KEYS[1], unpack(ARGV, 3))
    return 'applied'
    """)

  /// Removes the registration with a given epoch and keeps the epoch for a while.
  ///
  ///     KEYS  1 agent
  ///     ARGV  1 format version, 2 epoch, 3 how long to keep the epoch in ms
  ///     →     {removed} | {stale, nodeId and incarnation of the registration now or nothing} | {unreadable}
  static let remove = RedisScript(
    """
    local now = redis.call('HMGET', KEYS[1], 'version', 'epoch', 'nodeId', 'incarnation')
    if now[1] and tonumber(now[1]) > tonumber(ARGV[1]) then return {'unreadable'} end
    if not now[3] or now[2] ~= ARGV[2] then return {'stale', now[3], now[4]} end
    redis.call('DEL', KEYS[1])
    redis.call('HSET', KEYS[1], 'epoch', ARGV[2])
    redis.call('PEXPIRE', KEYS[1], ARGV[3])
    return {'removed'}
    """)
}
