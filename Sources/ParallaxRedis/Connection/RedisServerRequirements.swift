/// The requirements of a program on its server, checked on each new connection before the first command of a caller.
///
/// The check finds a server that is too old, a missing right of the user, and a proxy without a command at the start instead of by the
/// first failing request: the connection is refused with `invalidConfiguration`, and the message names the gap.
package struct RedisServerRequirements: Sendable {
  /// A harmless command that tests a right: any reply but a refusal confirms it.
  package struct Probe: Sendable {
    /// The command, which must change nothing.
    package var command: RedisCommand
    /// The key or channel of the command, as the error names it; `nil` for a command without one.
    package var target: String?

    /// Creates a probe.
    ///
    /// - Parameters:
    ///   - command: The command, which must change nothing.
    ///   - target: The key or channel, as the error names it; `nil` by default.
    package init(_ command: RedisCommand, on target: String? = nil) {
      self.command = command
      self.target = target
    }

    /// The command and its target, as the error names them.
    package var description: String {
      target.map { "\(command.name) on \($0)" } ?? command.name
    }
  }

  /// The requirements that a server does not meet, by its replies to the probes.
  package struct Gaps: Sendable, Hashable {
    /// The probes that the user has no right to, in the words of the error.
    package var forbidden: [String] = []
    /// The names of the commands that the server does not know.
    package var unknown: [String] = []
    /// The server's first refusal.
    package var words: String?

    /// Creates gaps; none by default.
    package init(forbidden: [String] = [], unknown: [String] = [], words: String? = nil) {
      self.forbidden = forbidden
      self.unknown = unknown
      self.words = words
    }
  }

  /// The oldest accepted version of Redis; other servers are not checked for their version.
  package var minimumRedisVersion: RedisVersion?
  /// The probes of the user's rights.
  package var probes: [Probe]

  /// Creates requirements.
  ///
  /// - Parameters:
  ///   - minimumRedisVersion: The oldest accepted version of Redis; `nil`, the default, accepts all.
  ///   - probes: The probes of the user's rights; none by default.
  package init(minimumRedisVersion: RedisVersion? = nil, probes: [Probe] = []) {
    self.minimumRedisVersion = minimumRedisVersion
    self.probes = probes
  }

  /// Checks a server by its identity in the handshake.
  ///
  /// - Parameters:
  ///   - identity: The server's name and version; `nil` if unknown.
  ///   - server: The server's name in the error.
  /// - Returns: The reason to refuse the server, or `nil`.
  func refusal(of identity: RedisServerIdentity?, server: String) -> RedisError? {
    guard let minimumRedisVersion, let identity, identity.name == "redis", let version = RedisVersion(identity.version),
      version < minimumRedisVersion
    else { return nil }
    return RedisError(
      .invalidConfiguration, command: "HELLO",
      message: "\(server) is Redis \(identity.version), and this program needs Redis \(minimumRedisVersion) or later, or Valkey.")
  }

  /// Checks a server by its replies to the probes.
  ///
  /// - Parameters:
  ///   - replies: The replies, in the order of ``probes``.
  ///   - server: The server's name in the error.
  /// - Returns: The reason to refuse the server, or `nil`.
  func refusal(of replies: [RESPValue], server: String) -> RedisError? {
    let gaps = gaps(by: replies.map(\.errorMessage))
    if !gaps.unknown.isEmpty {
      return RedisError(
        .invalidConfiguration,
        message: "\(server) lacks commands that this program needs (\(Self.list(gaps.unknown))): connect to Redis or Valkey itself, "
          + "or to its sentinels, not to a proxy in front of it.",
        serverMessage: gaps.words)
    }
    if gaps.forbidden.isEmpty { return nil }
    return RedisError(
      .invalidConfiguration,
      message: "\(server) denies the user what this program needs (\(Self.list(gaps.forbidden))): grant it with ACL SETUSER.",
      serverMessage: gaps.words)
  }

  /// Reads a server's answers to the probes.
  ///
  /// - Parameter messages: The server's error to each of ``probes``, in order; nil where it answered otherwise.
  /// - Returns: What is missing.
  package func gaps(by messages: [String?]) -> Gaps {
    var gaps = Gaps()
    for case (let probe, let message?) in zip(probes, messages) {
      if message.hasPrefix("NOPERM") {
        gaps.forbidden.append(probe.description)
      } else if Self.isUnknownCommand(message) {
        gaps.unknown.append(probe.command.name)
      } else {
        continue
      }
      gaps.words = gaps.words ?? message
    }
    return gaps
  }

  private static func isUnknownCommand(_ message: String) -> Bool {
    let text = message.lowercased()
    return text.contains("unknown command") || text.contains("unsupported command") || text.contains("unknown subcommand")
  }

  /// The first few of many items, without repetitions.
  private static func list(_ items: [String]) -> String {
    let distinct = items.reduce(into: [String]()) { if !$0.contains($1) { $0.append($1) } }
    let shown = distinct.prefix(4).joined(separator: ", ")
    return distinct.count > 4 ? "\(shown) and \(distinct.count - 4) more" : shown
  }
}

/// A server's name and version from the reply to HELLO.
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

  /// Creates a version.
  ///
  /// - Parameters:
  ///   - major: The first number.
  ///   - minor: The second number.
  package init(_ major: Int, _ minor: Int) {
    self.major = major
    self.minor = minor
  }

  /// Reads the first two numbers of a version such as `7.0.15`; `nil` for another text.
  package init?(_ text: String) {
    let numbers = text.split(separator: ".").prefix(2).compactMap { Int($0) }
    guard numbers.count == 2 else { return nil }
    self.init(numbers[0], numbers[1])
  }

  package var description: String { "\(major).\(minor)" }

  package static func < (left: RedisVersion, right: RedisVersion) -> Bool {
    (left.major, left.minor) < (right.major, right.minor)
  }
}
