/// The exchange on a new connection before the first command of a caller.
///
/// HELLO 3 logs in and names the connection in one command. A server without HELLO gets AUTH, CLIENT SETNAME and PING of RESP2. Then the
/// client selects the database, and asks for the server's role if it must be a master.
struct Handshake {
  enum Action {
    case send(RedisCommand)
    case done(protocolVersion: Int)
    case fail(RedisError)
  }

  private enum Step {
    case hello  // → auth, name, ping, select, role, done
    case auth  // → name, ping
    case name  // → ping
    case ping  // → select, role, done
    case select  // → role, done
    case role  // → done
  }

  private let configuration: RedisConfiguration
  /// The server's name in error messages.
  private let server: String
  private let mustBeMaster: Bool
  private var step = Step.hello
  private var protocolVersion = 3
  /// The server's name and version; `nil` before the reply to HELLO, and for a server without HELLO.
  private(set) var identity: RedisServerIdentity?

  init(configuration: RedisConfiguration, server: String = "The server", mustBeMaster: Bool = false) {
    self.configuration = configuration
    self.server = server
    self.mustBeMaster = mustBeMaster
  }

  func start() -> Action {
    var hello = RedisCommand("HELLO", 3)
    if let password = configuration.password {
      hello.append("AUTH")
      hello.append(configuration.username ?? "default")
      hello.append(password)
    }
    if let name = configuration.clientName {
      hello.append("SETNAME")
      hello.append(name)
    }
    return .send(hello)
  }

  mutating func received(_ reply: RESPValue) -> Action {
    switch (step, reply.errorMessage) {
    case (.hello, let error?):
      if Self.lacksHello(error) {
        protocolVersion = 2
        return authenticate()
      }
      return .fail(refusal("HELLO", error, hasPassword: configuration.password != nil))
    case (.hello, nil):
      identity = RedisServerIdentity(hello: reply)
      return select()
    case (.auth, let error?): return .fail(refusal("AUTH", error, hasPassword: true))
    case (.auth, nil): return setName()
    // The connection's name only serves CLIENT LIST, so a refusal does not matter.
    case (.name, _): return ping()
    case (.ping, let error?): return .fail(refusal("PING", error, hasPassword: configuration.password != nil))
    case (.ping, nil): return select()
    case (.select, let error?):
      return .fail(
        RedisError(
          .invalidConfiguration, command: "SELECT",
          message: "\(server) refuses database \(configuration.database): correct the number of the database.", serverMessage: error))
    case (.select, nil): return askForRole()
    case (.role, let error?): return .fail(refusal("ROLE", error, hasPassword: configuration.password != nil))
    case (.role, nil):
      guard reply.array?.first?.string == "master" else {
        return .fail(RedisError(.connectionFailed, command: "ROLE", message: "\(server) is a replica, not the master."))
      }
      return .done(protocolVersion: protocolVersion)
    }
  }

  private mutating func authenticate() -> Action {
    guard let password = configuration.password else { return setName() }
    step = .auth
    var command = RedisCommand("AUTH")
    if let username = configuration.username { command.append(username) }
    command.append(password)
    return .send(command)
  }

  private mutating func setName() -> Action {
    guard let name = configuration.clientName else { return ping() }
    step = .name
    return .send(RedisCommand("CLIENT", "SETNAME", name))
  }

  private mutating func ping() -> Action {
    step = .ping
    return .send(RedisCommand("PING"))
  }

  private mutating func select() -> Action {
    guard configuration.database != 0 else { return askForRole() }
    step = .select
    return .send(RedisCommand("SELECT", configuration.database))
  }

  private mutating func askForRole() -> Action {
    guard mustBeMaster else { return .done(protocolVersion: protocolVersion) }
    step = .role
    return .send(RedisCommand("ROLE"))
  }

  private static func lacksHello(_ error: String) -> Bool {
    error.hasPrefix("NOPROTO") || error.hasPrefix("NOPERM") || error.lowercased().contains("unknown command")
  }

  private func refusal(_ command: String, _ error: String, hasPassword: Bool) -> RedisError {
    let words = withoutPassword(error)
    let isAboutCredentials = ["WRONGPASS", "NOAUTH", "ERR AUTH", "ERR Client sent AUTH", "ERR invalid password"].contains {
      error.hasPrefix($0)
    }
    guard isAboutCredentials else {
      return RedisError(
        .connectionFailed, command: command, message: "\(server) refuses the connection.", serverMessage: words)
    }
    return RedisError(
      .authenticationFailed, command: command,
      message: hasPassword
        ? "\(server) refuses the user name or password: check both, and that the user is on."
        : "\(server) requires a password, and none is configured.", serverMessage: words)
  }

  /// The server's error, reduced to its code if it contains the password: some servers quote the arguments of a command that they do not
  /// know, as far as they have room.
  private func withoutPassword(_ error: String) -> String {
    guard let password = configuration.password, error.contains(password.prefix(32)) else { return error }
    return String(error.prefix { $0 != " " })
  }
}
