/// What a program asks of its server, checked on each new connection before the first command of a caller.
///
/// A server that is too old, a user who lacks a right, and a proxy that does not know a command are found at the start, not by the first
/// request that fails: the connection is refused with `invalidConfiguration`, and the message says what is missing.
package struct RedisServerRequirements: Sendable {
  /// A harmless command that shows a right: its effect is none, and any answer but a refusal is a yes.
  package struct Probe: Sendable {
    /// What is sent.
    package var command: RedisCommand
    /// The key or channel that the command is sent for, as the refusal names it; `nil` for a command without one.
    package var target: String?

    /// Makes a probe.
    ///
    /// - Parameters:
    ///   - command: What is sent; it must change nothing.
    ///   - target: The key or channel, as the refusal names it.
    package init(_ command: RedisCommand, on target: String? = nil) {
      self.command = command
      self.target = target
    }

    fileprivate var description: String {
      target.map { "\(command.name) on \($0)" } ?? command.name
    }
  }

  /// The oldest version of Redis that will do; servers of other names are not judged by their version.
  package var minimumRedisVersion: RedisVersion?
  /// What the user has to be allowed to do.
  package var probes: [Probe]

  /// Makes requirements.
  ///
  /// - Parameters:
  ///   - minimumRedisVersion: The oldest version of Redis that will do.
  ///   - probes: What the user has to be allowed to do.
  package init(minimumRedisVersion: RedisVersion? = nil, probes: [Probe] = []) {
    self.minimumRedisVersion = minimumRedisVersion
    self.probes = probes
  }

  /// Judges a server by what it said in the handshake.
  ///
  /// - Parameters:
  ///   - identity: The server's name and version; `nil` if it told none.
  ///   - server: What the error calls the server.
  /// - Returns: Why the server will not do.
  func refusal(of identity: RedisServerIdentity?, server: String) -> RedisError? {
    guard let minimumRedisVersion, let identity, identity.name == "redis", let version = RedisVersion(identity.version),
      version < minimumRedisVersion
    else { return nil }
    return RedisError(
      .invalidConfiguration, command: "HELLO",
      message: "\(server) is Redis \(identity.version), and this program needs Redis \(minimumRedisVersion) or later, or Valkey.")
  }

  /// Judges a server by its replies to the probes.
  ///
  /// - Parameters:
  ///   - replies: The replies, in the order of ``probes``.
  ///   - server: What the error calls the server.
  /// - Returns: Why the server will not do.
  func refusal(of replies: [RESPValue], server: String) -> RedisError? {
    var forbidden: [String] = []
    var unknown: [String] = []
    var words: String?
    for (probe, reply) in zip(probes, replies) {
      guard let message = reply.errorMessage else { continue }
      if message.hasPrefix("NOPERM") {
        forbidden.append(probe.description)
      } else if Self.isUnknownCommand(message) {
        unknown.append(probe.command.name)
      } else {
        continue
      }
      words = words ?? message
    }
    if !unknown.isEmpty {
      return RedisError(
        .invalidConfiguration,
        message: "\(server) does not know commands that this program needs (\(Self.list(unknown))): connect to Redis or Valkey itself, "
          + "or to its sentinels, not to a proxy before it.",
        serverMessage: words)
    }
    if forbidden.isEmpty { return nil }
    return RedisError(
      .invalidConfiguration,
      message: "The user lacks rights at \(server) that this program needs (\(Self.list(forbidden))): grant them with ACL SETUSER.",
      serverMessage: words)
  }

  private static func isUnknownCommand(_ message: String) -> Bool {
    let text = message.lowercased()
    return text.contains("unknown command") || text.contains("unsupported command") || text.contains("unknown subcommand")
  }

  /// A few of many, each once.
  private static func list(_ items: [String]) -> String {
    let distinct = items.reduce(into: [String]()) { if !$0.contains($1) { $0.append($1) } }
    let shown = distinct.prefix(4).joined(separator: ", ")
    return distinct.count > 4 ? "\(shown) and \(distinct.count - 4) more" : shown
  }
}

/// A server's name and version, as HELLO tells them.
struct RedisServerIdentity: Sendable, Hashable {
  /// The kind of server, such as `redis` or `valkey`.
  let name: String
  /// The version, such as `7.0.15`.
  let version: String

  init?(hello reply: RESPValue) {
    guard let fields = reply.map, let name = fields["server"]?.string, let version = fields["version"]?.string else { return nil }
    self.name = name
    self.version = version
  }
}

/// The first two numbers of a version, such as 7.0.
package struct RedisVersion: Sendable, Hashable, Comparable, CustomStringConvertible {
  package let major: Int
  package let minor: Int

  /// Makes a version.
  ///
  /// - Parameters:
  ///   - major: The first number.
  ///   - minor: The second number.
  package init(_ major: Int, _ minor: Int) {
    self.major = major
    self.minor = minor
  }

  init?(_ text: String) {
    let numbers = text.split(separator: ".").prefix(2).compactMap { Int($0) }
    guard numbers.count == 2 else { return nil }
    self.init(numbers[0], numbers[1])
  }

  package var description: String { "\(major).\(minor)" }

  package static func < (left: RedisVersion, right: RedisVersion) -> Bool {
    (left.major, left.minor) < (right.major, right.minor)
  }
}
