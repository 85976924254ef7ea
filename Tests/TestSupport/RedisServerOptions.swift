extension RedisServer {
  /// The options of a server.
  package struct Options: Sendable {
    /// The password of the default user.
    package var password: String?
    /// The ACL users besides the default one, each as a rule such as `worker on >secret ~app:* +@read`.
    package var users: [String]
    /// Whether a file has all users, so that `ACL SAVE` and `ACL LOAD` work.
    package var usersInFile: Bool
    /// The TLS settings of the port; nil for a plain one.
    package var tls: TLS?
    /// The port of the primary on this machine; nil for a primary.
    package var replicaOf: Int?
    /// The number of databases; nil for Redis's default of 16.
    package var databases: Int?
    /// Whether writes go to an append-only file (`appendfsync everysec`), so that they survive ``RedisServer/kill()``.
    package var appendOnly: Bool
    /// The initial configuration of a sentinel; nil for a server.
    package var sentinel: [String]?
    /// Further command-line options, such as `["--maxmemory", "1mb"]`.
    package var arguments: [String]
    /// The program, which may be older than 7.0; nil for `redis-server` or the program in `PARALLAX_TEST_REDIS_SERVER`.
    package var executable: String?

    package init(
      password: String? = nil, users: [String] = [], usersInFile: Bool = false, tls: TLS? = nil, replicaOf: Int? = nil,
      databases: Int? = nil, appendOnly: Bool = false, sentinel: [String]? = nil, arguments: [String] = [],
      executable: String? = nil
    ) {
      self.password = password
      self.users = users
      self.usersInFile = usersInFile
      self.tls = tls
      self.replicaOf = replicaOf
      self.databases = databases
      self.appendOnly = appendOnly
      self.sentinel = sentinel
      self.arguments = arguments
      self.executable = executable
    }
  }

  /// The TLS settings of a server.
  package struct TLS: Sendable {
    package enum ClientCertificates: String, Sendable {
      case required = "yes"
      case optional = "optional"
      case unasked = "no"
    }

    package var certificates: TestCertificates
    /// The server's certificate; nil for a valid one.
    package var identity: TestCertificates.Identity?
    package var clientCertificates: ClientCertificates

    package init(
      _ certificates: TestCertificates, identity: TestCertificates.Identity? = nil, clientCertificates: ClientCertificates = .optional
    ) {
      self.certificates = certificates
      self.identity = identity
      self.clientCertificates = clientCertificates
    }
  }
}

extension RedisServer.Options {
  /// The user of ``RedisServer/command(_:)-(String...)`` in tests that define users.
  private static let administrator = "administrator"

  /// The credentials of the tests' own connections.
  var credentials: (user: String, password: String)? {
    if !users.isEmpty || usersInFile { return (Self.administrator, "any") }
    return password.map { ("default", $0) }
  }

  /// The files of the server's directory, by name.
  func files(port: Int, directory: String) -> [String: String] {
    var files = [RedisServer.configurationName: configuration(port: port, directory: directory)]
    if usersInFile {
      let defaultUser = "default on \(password.map { ">\($0)" } ?? "nopass") ~* &* +@all"
      files["users.acl"] = ([defaultUser] + allUsers).map { "user \($0)\n" }.joined()
    }
    return files
  }

  /// The configuration file, in place of arguments, so that changes by the server or a sentinel survive a restart.
  private func configuration(port: Int, directory: String) -> String {
    var settings = [
      "--bind", "127.0.0.1", "--dir", directory, "--logfile", "redis.log", "--daemonize", "no", "--save", "",
      "--unixsocket", RedisServer.socketName, "--unixsocketperm", "700",
    ]
    if executable == nil { settings += ["--enable-debug-command", "local"] }
    settings += portSettings(port)
    if let password, !usersInFile { settings += ["--requirepass", password] }
    if let password, sentinel == nil { settings += ["--masterauth", password] }
    if usersInFile { settings += ["--aclfile", "users.acl"] }
    if let replicaOf { settings += ["--replicaof", "127.0.0.1", "\(replicaOf)"] }
    if sentinel == nil { settings += ["--repl-diskless-sync-delay", "0"] }
    if let databases { settings += ["--databases", "\(databases)"] }
    if appendOnly { settings += ["--appendonly", "yes", "--appendfsync", "everysec"] }
    settings += arguments
    let lines = settings.reduce(into: [String]()) { lines, word in
      if word.hasPrefix("--") { lines.append(String(word.dropFirst(2))) } else { lines[lines.count - 1] += " \(Self.quoted(word))" }
    }
    let users = usersInFile ? [] : allUsers.map { "user \($0)" }
    return (lines + users + (sentinel ?? [])).map { "\($0)\n" }.joined()
  }

  private static func quoted(_ word: String) -> String {
    "\"\(word.replacing("\\", with: "\\\\").replacing("\"", with: "\\\""))\""
  }

  private func portSettings(_ port: Int) -> [String] {
    guard let tls else { return ["--port", "\(port)"] }
    let identity = tls.identity ?? tls.certificates.server
    return [
      "--port", "0", "--tls-port", "\(port)", "--tls-cert-file", identity.certificate, "--tls-key-file", identity.key,
      "--tls-ca-cert-file", tls.certificates.authority, "--tls-auth-clients", tls.clientCertificates.rawValue, "--tls-replication", "yes",
    ]
  }

  private var allUsers: [String] {
    users.isEmpty && !usersInFile ? [] : users + ["\(Self.administrator) on nopass ~* &* +@all"]
  }
}
