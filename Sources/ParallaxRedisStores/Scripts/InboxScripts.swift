import ParallaxRedis

/// The scripts over one node session's inbox.
enum InboxScripts {
  static let all = [open, send]

  /// How long an inbox without a receiver is kept: a late message to a session that has ended must not stay forever.
  static let unclaimedLifetime: Duration = .seconds(3_600)

  /// Creates an inbox and its consumer group unless they exist, and stops an inbox with a receiver from expiring; a server with full memory
  /// accepts it too (see `FullMemory`).
  ///
  ///     KEYS  1 inbox
  ///     ARGV  1 group
  ///     →     OK | an error BUSYGROUP if the group exists
  static let open = RedisScript(
    """
    \(FullMemory.admission)
    return redis.pcall('XGROUP', 'CREATE', KEYS[1], ARGV[1], '0', 'MKSTREAM')
    """)

  /// Adds messages to an inbox with room for all of them.
  ///
  /// A server with full memory accepts small messages, on which the end of executions may depend; they stay for moments. Like PERSIST, XDEL
  /// of nothing admits the other writes (see `FullMemory`), but leaves the lifetime.
  ///
  ///     KEYS  1 inbox
  ///     ARGV  1 how many messages it holds at most, 2 lifetime in ms of an inbox without receiver, 3 whether all messages are small (1),
  ///           then messages
  ///     →     1, or 0 if there was no room
  static let send = RedisScript(
    """
    local length = redis.call('XLEN', KEYS[1])
    if length + #ARGV - 3 > tonumber(ARGV[1]) then return 0 end
    if ARGV[3] == '1' then redis.call('XDEL', KEYS[1], '0-1') end
    local isNew = length == 0 and redis.call('EXISTS', KEYS[1]) == 0
    for i = 4, #ARGV do redis.call('XADD', KEYS[1], '*', 'message', ARGV[i]) end
    if isNew then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
    return 1
    """)
}
