/// A command with its arguments, and how the client is to treat it.
///
/// ```swift
/// try await client.send(RedisCommand("HSET", key, "status", "running"))
/// try await client.send(RedisCommand("GET", key).idempotent)
/// ```
///
/// A command may always be sent again when the server is known not to have executed it. When its fate is unknown, because the
/// connection broke before the reply came, it is sent again only if it is marked ``idempotent``.
public struct RedisCommand: Sendable {
  /// The name in capitals, such as `HSET`: it names the command in errors and metrics.
  public let name: String

  /// What follows the name; never shown in errors or logs.
  public internal(set) var arguments: [RedisArgument]

  /// Whether executing the command twice has the same outcome for the caller as executing it once; `false` unless marked.
  public var isIdempotent = false

  /// How long the caller waits for the reply, waiting for a connection included; `nil` for the client's `commandTimeout`.
  public var timeout: Duration?

  /// What it does to the connection, as far as its name tells; found once, when the command is made.
  let effectsOfName: ConnectionEffects

  /// The script that an EVALSHA stands for, so that NOSCRIPT can be answered with its source.
  let script: RedisScript?

  /// Makes a command of a name and arguments of mixed types: strings, integers, floating point numbers, bytes, buffers.
  @inlinable
  public init<each Argument: RedisArgumentConvertible>(_ name: String, _ arguments: repeat each Argument) {
    var list: [RedisArgument] = []
    for argument in repeat each arguments { list.append(argument.redisArgument) }
    self.init(name, arguments: list)
  }

  /// Makes a command of a name and a list of arguments.
  public init(_ name: String, arguments: [RedisArgument]) {
    self.init(name: name, arguments: arguments, script: nil)
  }

  init(name: String, arguments: [RedisArgument], script: RedisScript?) {
    let name = name.utf8.contains { $0 >= 0x61 && $0 <= 0x7A } ? name.uppercased() : name
    self.name = name
    self.arguments = arguments
    effectsOfName = ConnectionEffects(ofCommand: name)
    self.script = script
  }

  /// Makes the command that runs a script: EVALSHA, and EVAL with the source if the server does not know the script.
  ///
  /// - Parameters:
  ///   - script: The script.
  ///   - keys: The keys it touches, `KEYS` in the script.
  ///   - arguments: Its other arguments, `ARGV` in the script.
  /// - Returns: A command for ``RedisClient/send(_:)`` and ``RedisClient/pipeline(_:)``.
  public static func evaluate(_ script: RedisScript, keys: [String], arguments: [RedisArgument] = []) -> RedisCommand {
    var list: [RedisArgument] = []
    list.reserveCapacity(2 + keys.count + arguments.count)
    list.append(RedisArgument(script.sha1))
    list.append(RedisArgument(keys.count))
    for key in keys { list.append(RedisArgument(key)) }
    list.append(contentsOf: arguments)
    return RedisCommand(name: "EVALSHA", arguments: list, script: script)
  }

  /// Adds an argument at the end.
  ///
  /// - Parameter argument: What follows the arguments so far.
  public mutating func append(_ argument: some RedisArgumentConvertible) {
    arguments.append(argument.redisArgument)
  }

  /// The command marked as safe to execute twice, so that the client sends it again when its fate is unknown.
  public var idempotent: RedisCommand {
    var copy = self
    copy.isIdempotent = true
    return copy
  }

  /// The command with a time-out of its own.
  ///
  /// - Parameter timeout: How long the caller waits for the reply, waiting for a connection included.
  /// - Returns: A copy of the command.
  public func withTimeout(_ timeout: Duration) -> RedisCommand {
    var copy = self
    copy.timeout = timeout
    return copy
  }
}
