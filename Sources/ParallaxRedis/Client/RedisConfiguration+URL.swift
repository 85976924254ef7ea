import NIOSSL
import ParallaxText

extension RedisConfiguration {
  /// Reads a URL: `redis://[[user]:password@]host[:port][/database]`, `rediss://…` for TLS, or
  /// `unix://[[user]:password@]/path/to/socket[?db=database]`.
  ///
  /// The user and the password may be percent-encoded, and must be if they contain `@`, `:`, `/`, `?`, `#` or `%`. The default port is
  /// 6379, the default database 0.
  ///
  /// - Parameter url: The URL.
  /// - Throws: ``RedisError`` with `invalidConfiguration`, whose message names the fault without repeating the URL.
  public init(url: String) throws(RedisError) {
    guard let separator = url.firstRange(of: "://") else {
      throw Self.invalid("it does not begin with redis://, rediss:// or unix://")
    }
    let scheme = url[..<separator.lowerBound].lowercased()
    let (credentials, rest) = try Self.splitCredentials(url[separator.upperBound...])
    switch scheme {
    case "redis", "rediss":
      let (address, path) = Self.split(rest, at: "/")
      self.init(endpoint: try Self.host(address, defaultPort: 6_379))
      if let path, !path.isEmpty { database = try Self.database(path) }
      if scheme == "rediss" { tls = .makeClientConfiguration() }
    case "unix":
      let (path, query) = Self.split(rest, at: "?")
      guard path.hasPrefix("/") else { throw Self.invalid("the path of a unix:// address must begin with a slash") }
      self.init(endpoint: .unixSocket(path: try Self.decode(path, what: "path")))
      if let query { database = try Self.database(Self.value(ofDatabaseQuery: query)) }
    default:
      throw Self.invalid("its scheme is '\(scheme)'; it must be redis, rediss or unix")
    }
    username = credentials.username
    password = credentials.password
  }

  private static func splitCredentials(
    _ text: Substring
  ) throws(RedisError) -> (credentials: (username: String?, password: String?), rest: Substring) {
    guard let at = text.lastIndex(of: "@") else { return ((nil, nil), text) }
    let (user, password) = split(text[..<at], at: ":")
    guard let password else { throw invalid("the @ must follow user:password, or :password without a user") }
    let username = try decode(user, what: "user")
    let secret = try decode(password, what: "password")
    if secret.isEmpty { throw invalid("its password is empty: remove the text before the @") }
    return ((username.isEmpty ? nil : username, secret), text[text.index(after: at)...])
  }

  fileprivate static func host(_ text: Substring, defaultPort: Int) throws(RedisError) -> Endpoint {
    var name = text
    var port = Substring(String(defaultPort))
    if text.hasPrefix("[") {
      guard let end = text.firstIndex(of: "]") else { throw invalid("the ] after the IPv6 address is missing") }
      name = text[text.index(after: text.startIndex)..<end]
      let rest = text[text.index(after: end)...]
      if !rest.isEmpty {
        guard rest.hasPrefix(":") else { throw invalid("after the ] only a port may follow") }
        port = rest.dropFirst()
      }
    } else if let colon = text.firstIndex(of: ":") {
      name = text[..<colon]
      port = text[text.index(after: colon)...]
    }
    if name.isEmpty { throw invalid("the host is missing") }
    if name.contains(where: { $0 == "?" || $0 == "#" || $0 == " " }) {
      throw invalid("the host has a character that is invalid in a host name")
    }
    guard let number = UInt16(decimal: port), number > 0 else { throw invalid("the port must be a number from 1 to 65535") }
    return .host(String(name), port: Int(number))
  }

  private static func database(_ text: Substring) throws(RedisError) -> Int {
    guard let number = UInt16(decimal: text) else {
      throw invalid("the database must be a number, 0 or more")
    }
    return Int(number)
  }

  private static func value(ofDatabaseQuery query: Substring) throws(RedisError) -> Substring {
    guard query.hasPrefix("db=") else { throw invalid("after the ? only db=NUMBER may follow") }
    return query.dropFirst(3)
  }

  private static func split(_ text: Substring, at separator: Character) -> (Substring, Substring?) {
    guard let index = text.firstIndex(of: separator) else { return (text, nil) }
    return (text[..<index], text[text.index(after: index)...])
  }

  private static func decode(_ text: Substring, what: String) throws(RedisError) -> String {
    do throws(PercentEncoding.Fault) {
      return try PercentEncoding.decode(text)
    } catch {
      switch error {
      case .brokenEscape: throw invalid("the \(what) has a % without two hexadecimal digits: write %25 for a percent sign")
      case .notUTF8: throw invalid("the \(what) is not UTF-8")
      }
    }
  }

  private static func invalid(_ reason: String) -> RedisError {
    RedisError(.invalidConfiguration, message: "The address of Redis is not valid: \(reason).")
  }

  /// Checks the constraints that the types cannot express.
  func validate() throws(RedisError) {
    for (name, duration) in [
      ("connectTimeout", connectTimeout), ("commandTimeout", commandTimeout), ("keepAliveInterval", keepAliveInterval),
      ("backoff.base", backoff.base), ("backoff.maximum", backoff.maximum),
    ] where duration <= .zero || duration > .seconds(86_400) {
      throw RedisError(.invalidConfiguration, message: "\(name) must be more than 0 and at most a day, and is \(duration).")
    }
    for (name, value, limit) in [
      ("maximumCommandsInFlight", maximumCommandsInFlight, 1 << 32), ("maximumBytesInFlight", maximumBytesInFlight, 1 << 40),
      ("maximumLeasedConnections", maximumLeasedConnections, 1 << 16), ("subscriptionBufferSize", subscriptionBufferSize, 1 << 32),
      ("maximumStringLength", maximumStringLength, 1 << 31), ("maximumReplyLength", maximumReplyLength, 1 << 40),
    ] where value < 1 || value > limit {
      throw RedisError(.invalidConfiguration, message: "\(name) must be from 1 to \(limit), and is \(value).")
    }
    try deployment.validate()
    if database < 0 { throw RedisError(.invalidConfiguration, message: "database must be 0 or more, and is \(database).") }
    if username != nil, password == nil {
      throw RedisError(.invalidConfiguration, message: "A user name needs a password.")
    }
    if let clientName, clientName.isEmpty || !clientName.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) {
      throw RedisError(.invalidConfiguration, message: "clientName must be of visible ASCII characters without spaces.")
    }
  }
}

extension RedisConfiguration.Endpoint {
  /// Reads the address of a server: `host`, `host:port` or `[IPv6 address]:port`.
  ///
  /// - Parameters:
  ///   - text: The address.
  ///   - defaultPort: The port if the text has none; 6379 by default. Sentinels use 26379.
  /// - Throws: ``RedisError`` with `invalidConfiguration`, whose message names the fault.
  public init(_ text: String, defaultPort: Int = 6_379) throws(RedisError) {
    self = try RedisConfiguration.host(text[...], defaultPort: defaultPort)
  }
}

extension UInt16 {
  /// Reads digits only, where `init(_:)` would accept a sign.
  fileprivate init?(decimal text: Substring) {
    guard text.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }) else { return nil }
    self.init(text)
  }
}
