import ParallaxAPI
import ParallaxRedis
import ParallaxState

/// How a receiver reads its stream: what was handed out before and not taken out, then what is new; and what it still has to take out.
///
/// After a lost connection it begins again: the server may have handed out what never arrived. What was handled is always taken out
/// before the next is read, so that nothing handled is read again unless the server itself forgot.
struct InboxReading {
  /// A session has one receiver, so one group with one consumer is enough.
  private static let group = "node"
  private static let consumer = "node"

  /// How long one read waits for new messages.
  static let blockTime: Duration = .seconds(2)
  /// How much longer the reply may take before the connection is given up.
  static let replyGrace: Duration = .seconds(3)

  private static let firstPause: Duration = .milliseconds(50)
  private static let longestPause: Duration = .seconds(1)

  private let key: String
  private let limit: Int
  private var readsNew = false
  private var handled: [String] = []
  private(set) var failures = 0

  init(key: String, limit: Int) {
    self.key = key
    self.limit = limit
  }

  /// What makes the stream and its group, and keeps an inbox that has a receiver from expiring.
  var opening: [RedisCommand] {
    [RedisCommand("XGROUP", "CREATE", key, Self.group, "0", "MKSTREAM"), RedisCommand("PERSIST", key)]
  }

  /// Judges the replies to `opening`: the group may be there already, and then a server without memory has to be read all the same.
  func opened(_ replies: [Result<RESPValue, RedisError>]) throws {
    for case .failure(let error) in replies where !["BUSYGROUP", "OOM"].contains(error.serverCode) { throw error }
  }

  /// What takes out the messages handled, and reads the next.
  var next: [RedisCommand] {
    var commands: [RedisCommand] = []
    if !handled.isEmpty {
      let positions = handled.map { RedisArgument($0) }
      commands.append(RedisCommand("XACK", arguments: [RedisArgument(key), RedisArgument(Self.group)] + positions))
      commands.append(RedisCommand("XDEL", arguments: [RedisArgument(key)] + positions))
    }
    var read = RedisCommand("XREADGROUP", "GROUP", Self.group, Self.consumer, "COUNT", limit)
    if readsNew { for argument: RedisArgument in ["BLOCK", RedisArgument(Self.blockTime.wholeMilliseconds)] { read.append(argument) } }
    for argument in ["STREAMS", key, readsNew ? ">" : "0"] { read.append(argument) }
    commands.append(read.withTimeout(Self.blockTime + Self.replyGrace))
    return commands
  }

  /// Takes the replies to `next`; returns the messages to handle, which may be none.
  mutating func received(_ replies: [Result<RESPValue, RedisError>]) throws -> [ReceivedNodeMessage] {
    let values = try replies.map { try $0.get() }
    handled = []
    failures = 0
    let messages = try Self.messages(in: values.last ?? .null)
    if messages.isEmpty { readsNew = true }
    return messages
  }

  mutating func didHandle(_ messages: [ReceivedNodeMessage]) {
    handled = messages.map(\.position)
  }

  /// Begins again after an error; returns how long to pause first.
  mutating func failed(_ error: RedisError) -> Duration {
    readsNew = false
    // The stream was removed, and the positions with it.
    if ["NOGROUP", "UNBLOCKED"].contains(error.serverCode) { handled = [] }
    failures += 1
    return min(Self.longestPause, Self.firstPause * (1 << min(failures - 1, 10)))
  }

  private static func messages(in reply: RESPValue) throws -> [ReceivedNodeMessage] {
    let entries: [RESPValue]?
    switch reply {
    case .null: return []
    case .map(let streams) where streams.count == 2: entries = streams[1].array
    case .array(let streams) where streams.count == 1: entries = streams[0].array?.last?.array
    default: entries = nil
    }
    guard let entries else { throw unexpected }
    return try entries.map { entry in
      guard let parts = entry.array, parts.count == 2, let position = parts[0].string else { throw unexpected }
      let text = parts[1].map?["message"]?.string
      return ReceivedNodeMessage(
        position: position, message: text.flatMap { try? JSON.decode(from: $0, depthLimit: JSON.documentDepthLimit) })
    }
  }

  private static var unexpected: RedisError {
    RedisError(.unexpectedReply, command: "XREADGROUP", message: "The reply has not the form of a stream's entries.")
  }
}
