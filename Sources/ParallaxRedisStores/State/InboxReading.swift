import ParallaxAPI
import ParallaxRedis
import ParallaxState

/// How a receiver reads its stream: first the messages that were delivered and not removed, then new ones.
///
/// After a lost connection the receiver starts over, since the server may have delivered messages that never arrived. Handled messages are
/// always removed before the next read, so a handled message is read again only if the server lost its removal.
struct InboxReading {
  /// A session has one receiver, so one group with one consumer is enough.
  private static let group = "node"
  private static let consumer = "node"

  /// How long one read waits for new messages.
  static let blockTime: Duration = .seconds(2)
  /// How long after `blockTime` the receiver gives up a connection without a reply.
  static let replyGrace: Duration = .seconds(3)

  private static let firstPause: Duration = .milliseconds(50)
  private static let longestPause: Duration = .seconds(1)

  private let key: String
  private let limit: Int
  /// Whether the next read waits for new messages.
  private(set) var readsNew = false
  private var handled: [String] = []
  private(set) var failures = 0

  init(key: String, limit: Int) {
    self.key = key
    self.limit = limit
  }

  /// The commands that create the stream and its group, and stop an inbox with a receiver from expiring.
  var opening: [RedisCommand] {
    [.evaluate(InboxScripts.open, keys: [key], arguments: [RedisArgument(Self.group)])]
  }

  /// Checks the replies to `opening`; the group may exist already.
  func opened(_ replies: [Result<RESPValue, RedisError>]) throws {
    for case .failure(let error) in replies where error.serverCode != "BUSYGROUP" { throw error }
  }

  /// The commands that remove the handled messages and read the next ones.
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

  /// Takes the replies to `next`; returns the messages to handle, of which there may be none.
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

  /// Starts over after an error; returns how long to pause first.
  mutating func failed(_ error: RedisError) -> Duration {
    readsNew = false
    // The stream was removed, and its entries with it.
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
    RedisError(.unexpectedReply, command: "XREADGROUP", message: "The reply is not a list of stream entries.")
  }
}
