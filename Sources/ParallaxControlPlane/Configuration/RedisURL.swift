/// Where a Redis server is and how to log in, as one text: `redis://user:password@host:6379/0`, `rediss://…` for TLS, `unix:///path`.
package struct RedisURL: Sendable, Equatable {
  /// How to reach the server.
  package enum Endpoint: Sendable, Equatable {
    case host(String, port: Int)
    case unixSocket(path: String)
  }

  package var endpoint: Endpoint
  package var isTLS = false
  package var username: String?
  package var password: String?
  package var database = 0

  /// Reads a URL; nil if it is none of the accepted forms.
  ///
  /// Reserved characters in the user and password are percent-encoded.
  package init?(_ text: String) {
    guard let schemeEnd = text.firstRange(of: "://") else { return nil }
    let scheme = text[..<schemeEnd.lowerBound]
    let rest = text[schemeEnd.upperBound...]
    if scheme == "unix" {
      guard rest.hasPrefix("/"), rest.count > 1 else { return nil }
      endpoint = .unixSocket(path: String(rest))
      return
    }
    guard scheme == "redis" || scheme == "rediss" else { return nil }
    isTLS = scheme == "rediss"
    // A password may contain a slash that somebody forgot to encode, but a host cannot contain an at sign.
    let afterUser = rest.lastIndex(of: "@").map { rest[rest.index(after: $0)...] } ?? rest
    let pathStart = afterUser.firstIndex(of: "/") ?? afterUser.endIndex
    guard let endpoint = Self.endpoint(afterUser[..<pathStart]) else { return nil }
    self.endpoint = endpoint
    if afterUser.startIndex > rest.startIndex {
      guard readUser(rest[..<rest.index(before: afterUser.startIndex)]) else { return nil }
    }
    let path = afterUser[pathStart...].dropFirst()
    guard path.isEmpty || (Int(path).map { (0...65_535).contains($0) } ?? false) else { return nil }
    database = Int(path) ?? 0
  }

  /// The URL with its password replaced by `***` unless `secretsHidden` is false.
  package func text(secretsHidden: Bool) -> String {
    guard case .host(let host, let port) = endpoint else {
      if case .unixSocket(let path) = endpoint { return "unix://\(path)" }
      preconditionFailure("A Redis endpoint is a host or a socket: \(endpoint)")
    }
    var user = username.map(PercentCoding.encoded) ?? ""
    if let password { user += ":" + (secretsHidden ? "***" : PercentCoding.encoded(password)) }
    let address = host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
    return "\(isTLS ? "rediss" : "redis")://\(user)\(user.isEmpty ? "" : "@")\(address)\(database == 0 ? "" : "/\(database)")"
  }

  private mutating func readUser(_ text: Substring) -> Bool {
    let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
    guard let user = parts.first.flatMap(PercentCoding.decoded) else { return false }
    username = user.isEmpty ? nil : user
    guard parts.count == 2 else { return true }
    guard let password = PercentCoding.decoded(parts[1]) else { return false }
    self.password = password.isEmpty ? nil : password
    return true
  }

  private static func endpoint(_ text: Substring) -> Endpoint? {
    var host = text
    var port = Substring("6379")
    if text.hasPrefix("[") {
      guard let end = text.firstIndex(of: "]") else { return nil }
      host = text[..<end].dropFirst()
      let rest = text[end...].dropFirst()
      guard rest.isEmpty || rest.hasPrefix(":") else { return nil }
      if !rest.isEmpty { port = rest.dropFirst() }
    } else if let colon = text.firstIndex(of: ":") {
      host = text[..<colon]
      port = text[colon...].dropFirst()
      guard !port.contains(":") else { return nil }
    }
    guard !host.isEmpty, host.allSatisfy({ !$0.isWhitespace && !"?#%".contains($0) }) else { return nil }
    guard port.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }), let number = Int(port),
      (1...65_535).contains(number)
    else { return nil }
    return .host(String(host), port: number)
  }
}

/// The escaping of URLs.
private enum PercentCoding {
  static func decoded(_ text: Substring) -> String? {
    var bytes: [UInt8] = []
    var rest = Array(text.utf8)[...]
    while let byte = rest.popFirst() {
      guard byte == UInt8(ascii: "%") else {
        bytes.append(byte)
        continue
      }
      guard rest.count >= 2, let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16) else { return nil }
      bytes.append(value)
      rest = rest.dropFirst(2)
    }
    return String(validating: bytes, as: UTF8.self)
  }

  static func encoded(_ text: String) -> String {
    text.utf8.reduce(into: "") { result, byte in
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
        UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."), UInt8(ascii: "~"):
        result.unicodeScalars.append(Unicode.Scalar(byte))
      default:
        let digits = String(byte, radix: 16, uppercase: true)
        result += digits.count == 1 ? "%0\(digits)" : "%\(digits)"
      }
    }
  }
}
