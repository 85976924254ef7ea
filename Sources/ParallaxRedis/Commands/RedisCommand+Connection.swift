/// The effects of a command on its connection.
extension RedisCommand {
  /// Refuses a command that would delay or disturb the other users of a shared connection.
  func checkShareable() throws(RedisError) {
    if isTransactional { throw needsConnection() }
    try checkPipelineable()
  }

  /// As ``checkShareable()``, but allows the commands of a transaction, which a pipeline has as a whole.
  private func checkPipelineable() throws(RedisError) {
    if effectsOfName.isEmpty { return }
    let others: ConnectionEffects = [.blocks, .changesConnection, .makesRepliesUnpredictable]
    if !connectionEffects.isDisjoint(with: others) { throw needsConnection() }
  }

  /// Refuses a pipeline that would delay or disturb the other users of a shared connection.
  ///
  /// - Returns: Whether the pipeline has a transaction or a WATCH.
  static func checkPipeline(_ commands: [RedisCommand]) throws(RedisError) -> Bool {
    var hasTransaction = false
    // By index, because an iterator would retain and release each command.
    for index in commands.indices {
      try commands[index].checkPipelineable()
      hasTransaction = hasTransaction || commands[index].isTransactional
    }
    if hasTransaction { try checkWholeTransactions(commands) }
    return hasTransaction
  }

  /// Refuses a pipeline that leaves a transaction or a WATCH open.
  private static func checkWholeTransactions(_ commands: [RedisCommand]) throws(RedisError) {
    var isOpen = false
    var isWatching = false
    for command in commands where command.isTransactional {
      switch command.name {
      case "MULTI" where !isOpen: isOpen = true
      case "EXEC" where isOpen, "DISCARD" where isOpen: (isOpen, isWatching) = (false, false)
      case "WATCH" where !isOpen: isWatching = true
      case "UNWATCH": isWatching = isWatching && isOpen
      default: throw command.breaksTransaction("has a misplaced transaction command")
      }
    }
    if isOpen || isWatching, let last = commands.last { throw last.breaksTransaction("leaves a MULTI or WATCH open") }
  }

  private func breaksTransaction(_ how: String) -> RedisError {
    RedisError(
      .connectionRequired, command: name,
      message: "The pipeline \(how): send whole transactions, from MULTI to EXEC, or use withConnection(forKey:_:).")
  }

  /// Refuses a command with more or fewer than one reply.
  func checkLeasable() throws(RedisError) {
    guard makesRepliesUnpredictable else { return }
    throw RedisError(
      .connectionRequired, command: name,
      message: "The client cannot match replies after this command: use subscribe(to:), or omit the command.")
  }

  /// Whether the command changes the state of the connection.
  var changesConnection: Bool { !connectionEffects.isDisjoint(with: [.changesConnection, .isTransactional]) }

  private var isTransactional: Bool { effectsOfName.contains(.isTransactional) }

  private var makesRepliesUnpredictable: Bool { connectionEffects.contains(.makesRepliesUnpredictable) }

  /// The command's effects on its connection; nearly all commands have none.
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

  /// Whether BLOCK is one of the options before STREAMS, and not the name of a stream, a group or a consumer.
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
      .connectionRequired, command: name, message: "This command needs a connection of its own: send it inside withConnection(forKey:_:).")
  }
}

/// The effects of commands on their connections.
struct ConnectionEffects: OptionSet, Sendable {
  let rawValue: UInt8

  static let isTransactional = ConnectionEffects(rawValue: 1 << 0)
  static let blocks = ConnectionEffects(rawValue: 1 << 1)
  /// The command changes the state of the connection.
  static let changesConnection = ConnectionEffects(rawValue: 1 << 2)
  /// The command has no reply, or more than one.
  static let makesRepliesUnpredictable = ConnectionEffects(rawValue: 1 << 3)
  /// The command's arguments decide about further effects.
  static let dependsOnArguments = ConnectionEffects(rawValue: 1 << 4)
}

extension ConnectionEffects {
  /// The commands with effects on their connection, by the lengths of their names.
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

  /// The effects that the name alone determines.
  init(ofCommand name: String) {
    // Every new command passes here, so it is compared only with names of its length.
    let length = name.utf8.count
    self = length < Self.names.count ? Self.names[length].first { $0.0 == name }?.1 ?? [] : []
  }
}
