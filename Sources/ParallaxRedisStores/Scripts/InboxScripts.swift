import ParallaxRedis

/// The scripts over one node session's inbox.
enum InboxScripts {
  /// How long an inbox without a receiver is kept: a late message to a session that has ended must not stay forever.
  static let unclaimedLifetime: Duration = .seconds(3_600)

  /// Adds messages to an inbox with room for all of them.
  ///
  ///     KEYS  1 inbox
  ///     ARGV  1 how many messages it holds at most, 2 lifetime in ms of an inbox without receiver, then messages
  ///     →     1, or 0 if there was no room
  static let send = RedisScript(
    """
    local length = redis.call('XLEN', KEYS[1])
    if length + #ARGV - 2 > tonumber(ARGV[1]) then return 0 end
    local isNew = length == 0 and redis.call('EXISTS', KEYS[1]) == 0
    for i = 3, #ARGV do redis.call('XADD', KEYS[1], '*', 'message', ARGV[i]) end
    if isNew then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
    return 1
    """)
}
