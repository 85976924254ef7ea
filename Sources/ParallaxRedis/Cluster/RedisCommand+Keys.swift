import NIOCore

/// The keys of a command, as far as its routing in a cluster needs them.
extension RedisCommand {
  /// The slot of the first key; `nil` for a command without keys.
  var slot: Int? {
    firstKeyPosition.flatMap { $0 < arguments.count ? arguments[$0].slot : nil }
  }

  /// The first key; `nil` for a command without keys.
  package var firstKey: String? {
    firstKeyPosition.flatMap { $0 < arguments.count ? arguments[$0].text : nil }
  }

  /// The place of the first key among the arguments; `nil` for a command without keys.
  private var firstKeyPosition: Int? {
    switch Self.keyRules[name] {
    case nil: arguments.isEmpty ? nil : 0
    case .noKey: nil
    case .second: arguments.count > 1 ? 1 : nil
    case .behindCount(let index): keyBehindCount(at: index)
    case .behindWord(let word, let start, let otherwise): position(of: word, from: start).map { $0 + 1 } ?? otherwise
    }
  }

  /// The position of a command's first key.
  private enum KeyRule {
    case noKey, second
    /// Behind the number of keys, which is at this place.
    case behindCount(Int)
    /// Behind a keyword, which is searched from this place on.
    case behindWord(String, from: Int, otherwise: Int?)
  }

  /// The exceptions of Redis 7: in nearly all other commands the first key follows the name.
  private static let keyRules: [String: KeyRule] = {
    var rules: [String: KeyRule] = [
      "XREAD": .behindWord("STREAMS", from: 0, otherwise: nil), "XREADGROUP": .behindWord("STREAMS", from: 3, otherwise: nil),
      "MIGRATE": .behindWord("KEYS", from: 5, otherwise: 2),
    ]
    for name in ["ZUNION", "ZINTER", "ZDIFF", "ZINTERCARD", "SINTERCARD", "LMPOP", "ZMPOP"] { rules[name] = .behindCount(0) }
    for name in ["EVALSHA", "EVAL", "EVALSHA_RO", "EVAL_RO", "FCALL", "FCALL_RO", "BLMPOP", "BZMPOP"] { rules[name] = .behindCount(1) }
    for name in ["OBJECT", "XINFO", "XGROUP", "MEMORY", "BITOP", "DEBUG"] { rules[name] = .second }
    for name in [
      "ACL", "ASKING", "AUTH", "BGREWRITEAOF", "BGSAVE", "CLIENT", "CLUSTER", "COMMAND", "CONFIG", "DBSIZE", "DISCARD", "ECHO", "EXEC",
      "FAILOVER", "FLUSHALL", "FLUSHDB", "FUNCTION", "HELLO", "INFO", "KEYS", "LASTSAVE", "LATENCY", "LOLWUT", "MODULE", "MONITOR", "MULTI",
      "PING", "PSYNC", "PUBLISH", "PUBSUB", "QUIT", "RANDOMKEY", "READONLY", "READWRITE", "REPLICAOF", "RESET", "ROLE", "SAVE", "SCAN",
      "SCRIPT", "SELECT", "SHUTDOWN", "SLAVEOF", "SLOWLOG", "SWAPDB", "SYNC", "TIME", "UNWATCH", "WAIT", "WAITAOF",
    ] { rules[name] = .noKey }
    return rules
  }()

  private func keyBehindCount(at index: Int) -> Int? {
    guard index < arguments.count, let count = arguments[index].integer, count > 0 else { return nil }
    return index + 1
  }

  private func position(of word: String, from start: Int) -> Int? {
    arguments.indices.dropFirst(start).first { arguments[$0].text.uppercased() == word }
  }
}

extension RedisArgument {
  /// The slot of this argument as a key.
  var slot: Int {
    switch storage {
    case .string(let text): HashSlot.of(text)
    case .bytes(let bytes): HashSlot.of(bytes)
    case .buffer(let buffer): HashSlot.of(buffer.readableBytesView)
    case .integer(let value): HashSlot.of(String(value))
    }
  }

  /// The argument as an integer.
  fileprivate var integer: Int64? {
    if case .integer(let value) = storage { value } else { Int64(text) }
  }

  /// The argument as text; invalid UTF-8 is repaired.
  var text: String {
    switch storage {
    case .integer(let value): String(value)
    case .string(let text): text
    case .bytes(let bytes): String(decoding: bytes, as: UTF8.self)
    case .buffer(let buffer): String(buffer: buffer)
    }
  }
}
