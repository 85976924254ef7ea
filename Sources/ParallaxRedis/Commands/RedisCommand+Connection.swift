/// What a command does to the connection it is sent on.
extension RedisCommand {
  /// Refuses what would delay or disturb the other users of a shared connection.
  func checkShareable() throws(RedisError) {
    if isTransactional { throw needsConnection() }
    try checkPipelineable()
  }

  /// As ``checkShareable()``, but in a pipeline a transaction is whole.
  private func checkPipelineable() throws(RedisError) {
    if blocks || (changesConnection && !isTransactional) || makesRepliesUnpredictable { throw needsConnection() }
  }

  /// Refuses a pipeline that would delay or disturb the other users of a shared connection.
  static func checkPipeline(_ commands: [RedisCommand]) throws(RedisError) {
    var hasTransaction = false
    // By index, as an iterator would retain and release each command.
    for index in commands.indices {
      try commands[index].checkPipelineable()
      hasTransaction = hasTransaction || commands[index].isTransactional
    }
    if hasTransaction { try checkWholeTransactions(commands) }
  }

  /// Refuses what would leave a transaction or a WATCH behind.
  private static func checkWholeTransactions(_ commands: [RedisCommand]) throws(RedisError) {
    var isOpen = false
    var isWatching = false
    for command in commands where command.isTransactional {
      switch command.name {
      case "MULTI" where !isOpen: isOpen = true
      case "EXEC" where isOpen, "DISCARD" where isOpen: (isOpen, isWatching) = (false, false)
      case "WATCH" where !isOpen: isWatching = true
      case "UNWATCH": isWatching = isWatching && isOpen
      default: throw command.breaksTransaction("comes where no transaction allows it")
      }
    }
    if isOpen || isWatching, let last = commands.last { throw last.breaksTransaction("leaves a MULTI or WATCH open") }
  }

  private func breaksTransaction(_ how: String) -> RedisError {
    RedisError(
      .connectionRequired, command: name,
      message: "The pipeline \(how): send whole transactions, from MULTI to EXEC, or use withConnection(forKey:_:).")
  }

  /// Refuses what breaks the rule of one reply for one command.
  func checkLeasable() throws(RedisError) {
    guard makesRepliesUnpredictable else { return }
    throw RedisError(
      .connectionRequired, command: name,
      message: "The client cannot follow a connection after this command: use subscribe(to:), or leave it out.")
  }

  /// Whether the connection is not as before after this command.
  var changesConnection: Bool {
    switch name.utf8.count {
    case 4: name == "AUTH" || name == "QUIT" || isTransactional
    case 5: name == "HELLO" || name == "RESET" || isTransactional
    case 6: name == "SELECT" || (name == "CLIENT" && has(anyOf: ["TRACKING", "CACHING", "SETNAME", "NO-EVICT", "NO-TOUCH"], within: 1))
    case 7: isTransactional
    case 8: name == "READONLY"
    case 9: name == "READWRITE"
    default: isTransactional
    }
  }

  private var isTransactional: Bool {
    switch name.utf8.count {
    case 4: name == "EXEC"
    case 5: name == "MULTI" || name == "WATCH"
    case 7: name == "UNWATCH" || name == "DISCARD"
    default: false
    }
  }

  private var blocks: Bool {
    switch name.utf8.count {
    case 4: name == "WAIT"
    case 5: name == "BLPOP" || name == "BRPOP" || (name == "XREAD" && has(anyOf: ["BLOCK"], within: 3))
    case 6: name == "BLMOVE" || name == "BLMPOP" || name == "BZMPOP"
    case 7: name == "WAITAOF"
    case 8: name == "BZPOPMIN" || name == "BZPOPMAX"
    case 10: name == "BRPOPLPUSH" || (name == "XREADGROUP" && has(anyOf: ["BLOCK"], within: 6))
    default: false
    }
  }

  private var makesRepliesUnpredictable: Bool {
    switch name.utf8.count {
    case 4: name == "SYNC"
    case 5: name == "PSYNC"
    case 6: name == "CLIENT" && has(anyOf: ["REPLY"], within: 1)
    case 7: name == "MONITOR"
    case 9: name == "SUBSCRIBE"
    case 10: name == "PSUBSCRIBE" || name == "SSUBSCRIBE"
    case 11: name == "UNSUBSCRIBE"
    case 12: name == "PUNSUBSCRIBE" || name == "SUNSUBSCRIBE"
    default: false
    }
  }

  private func has(anyOf words: [String], within count: Int) -> Bool {
    arguments.prefix(count).contains { argument in
      if case .string(let text) = argument.storage { words.contains(text.uppercased()) } else { false }
    }
  }

  private func needsConnection() -> RedisError {
    RedisError(
      .connectionRequired, command: name, message: "This command needs a connection of its own: send it inside withConnection(_:).")
  }
}
