/// A command with its arguments and the client's rules for it.
///
/// ```swift
/// try await client.send(RedisCommand("HSET", key, "status", "running"))
/// try await client.send(RedisCommand("GET", key).idempotent)
/// ```
///
/// The client may always repeat a command that the server certainly has not executed. A command of unknown outcome, whose connection broke
/// before the reply arrived, is repeated only if it is marked ``idempotent``.
public struct RedisCommand: Sendable {
  /// The name in capitals, such as `HSET`; it names the command in errors and metrics.
  public let name: String

  /// The arguments; never shown in errors or logs.
  public internal(set) var arguments: [RedisArgument]

  /// Whether two executions have the same outcome for the caller as one; `false` by default.
  public var isIdempotent = false

  /// How long the caller waits for the reply, the wait for a connection included; `nil`, the default, is the client's `commandTimeout`.
  public var timeout: Duration?

  /// The effects on the connection that the name determines; computed once, at initialization.
  let effectsOfName: ConnectionEffects

  /// The script of an EVALSHA, so that its source can be sent after NOSCRIPT.
  let script: RedisScript?

  /// Creates a command of a name and arguments of mixed types: strings, integers, floating-point numbers, bytes, buffers.
  @inlinable
  public init<each Argument: RedisArgumentConvertible>(_ name: String, _ arguments: repeat each Argument) {
    var list: [RedisArgument] = []
    for argument in repeat each arguments { list.append(argument.redisArgument) }
    self.init(name, arguments: list)
  }

  /// Creates a command of a name and a list of arguments.
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

  /// Creates the command that runs a script: EVALSHA, and EVAL with the source if the server lacks the script.
  ///
  /// - Parameters:
  ///   - script: The script.
  ///   - keys: The keys of the script, its `KEYS`.
  ///   - arguments: The other arguments, its `ARGV`; none by default.
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

  /// Appends an argument.
  ///
  /// - Parameter argument: The argument.
  public mutating func append(_ argument: some RedisArgumentConvertible) {
    arguments.append(argument.redisArgument)
  }

  /// A copy marked as safe to execute twice, which the client repeats after an unknown outcome.
  public var idempotent: RedisCommand {
    var copy = self
    copy.isIdempotent = true
    return copy
  }

  /// A copy with a time-out of its own.
  ///
  /// - Parameter timeout: How long the caller waits for the reply, the wait for a connection included.
  /// - Returns: The copy.
  public func withTimeout(_ timeout: Duration) -> RedisCommand {
    var copy = self
    copy.timeout = timeout
    return copy
  }
}
