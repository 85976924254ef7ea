/// What a command does to the connection it is sent on.
extension RedisCommand {
  /// Refuses what would delay or disturb the other users of a shared connection.
  func checkShareable() throws(RedisError) {
    if isTransactional { throw needsConnection() }
    try checkPipelineable()
  }

  /// As ``checkShareable()``, but in a pipeline a transaction is whole.
  private func checkPipelineable() throws(RedisError) {
    if effectsOfName.isEmpty { return }
    let others: ConnectionEffects = [.blocks, .changesConnection, .makesRepliesUnpredictable]
    if !connectionEffects.isDisjoint(with: others) { throw needsConnection() }
  }

  /// Refuses a pipeline that would delay or disturb the other users of a shared connection.
  ///
  /// - Returns: Whether there is a transaction or a WATCH in it.
  static func checkPipeline(_ commands: [RedisCommand]) throws(RedisError) -> Bool {
    var hasTransaction = false
    // By index, as an iterator would retain and release each command.
    for index in commands.indices {
      try commands[index].checkPipelineable()
      hasTransaction = hasTransaction || commands[index].isTransactional
    }
    if hasTransaction { try checkWholeTransactions(commands) }
    return hasTransaction
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
  var changesConnection: Bool { !connectionEffects.isDisjoint(with: [.changesConnection, .isTransactional]) }

  private var isTransactional: Bool { effectsOfName.contains(.isTransactional) }

  private var makesRepliesUnpredictable: Bool { connectionEffects.contains(.makesRepliesUnpredictable) }

  /// What the command does to its connection; hardly any does something.
  private var connectionEffects: ConnectionEffects {
    effectsOfName.contains(.dependsOnArguments) ? effectsOfName.union(effectsOfArguments) : effectsOfName
  }

  private var effectsOfArguments: ConnectionEffects {
    switch name {
    case "CLIENT" where has(anyOf: ["REPLY"], within: 1): .makesRepliesUnpredictable
    case "CLIENT" where has(anyOf: ["TRACKING", "CACHING", "SETNAME", "NO-EVICT", "NO-TOUCH"], within: 1): .changesConnection
    case "XREAD" where hasBlockOption(from: 0): .blocks
    case "XREADGROUP" where hasBlockOption(from: 3): .blocks
    default: []
    }
  }

  private func has(anyOf words: [String], within count: Int) -> Bool {
    arguments.prefix(count).contains { words.contains($0.text.uppercased()) }
  }

  /// Whether BLOCK stands among the options before STREAMS, and not among the names of streams, or of a group and its consumer.
  private func hasBlockOption(from start: Int) -> Bool {
    for argument in arguments.dropFirst(start) {
      switch argument.text.uppercased() {
      case "BLOCK": return true
      case "STREAMS": return false
      default: continue
      }
    }
    return false
  }

  private func needsConnection() -> RedisError {
    RedisError(
      .connectionRequired, command: name, message: "This command needs a connection of its own: send it inside withConnection(_:).")
  }
}

/// What commands do to the connection they are sent on.
struct ConnectionEffects: OptionSet, Sendable {
  let rawValue: UInt8

  static let isTransactional = ConnectionEffects(rawValue: 1 << 0)
  static let blocks = ConnectionEffects(rawValue: 1 << 1)
  /// The connection is not as before.
  static let changesConnection = ConnectionEffects(rawValue: 1 << 2)
  /// There may be no reply, or more than one.
  static let makesRepliesUnpredictable = ConnectionEffects(rawValue: 1 << 3)
  /// Whether it does something else, the arguments tell.
  static let dependsOnArguments = ConnectionEffects(rawValue: 1 << 4)
}

extension ConnectionEffects {
  /// The commands that do something to their connection, by the lengths of their names.
  private static let names: [[(String, ConnectionEffects)]] = {
    let effects: [(ConnectionEffects, [String])] = [
      (.isTransactional, ["MULTI", "EXEC", "DISCARD", "WATCH", "UNWATCH"]),
      (.changesConnection, ["AUTH", "HELLO", "QUIT", "READONLY", "READWRITE", "RESET", "SELECT"]),
      (.blocks, ["BLMOVE", "BLMPOP", "BLPOP", "BRPOP", "BRPOPLPUSH", "BZMPOP", "BZPOPMAX", "BZPOPMIN", "WAIT", "WAITAOF"]),
      (
        .makesRepliesUnpredictable,
        ["MONITOR", "PSUBSCRIBE", "PSYNC", "PUNSUBSCRIBE", "SSUBSCRIBE", "SUBSCRIBE", "SUNSUBSCRIBE", "SYNC", "UNSUBSCRIBE"]
      ),
      (.dependsOnArguments, ["CLIENT", "XREAD", "XREADGROUP"]),
    ]
    var byLength = [[(String, ConnectionEffects)]](repeating: [], count: 13)
    for (effect, names) in effects {
      for name in names { byLength[name.utf8.count].append((name, effect)) }
    }
    return byLength
  }()

  /// What the name of a command tells.
  init(ofCommand name: String) {
    // Every command that is made passes here: it is compared with names of its length alone.
    let length = name.utf8.count
    self = length < Self.names.count ? Self.names[length].first { $0.0 == name }?.1 ?? [] : []
  }
}
