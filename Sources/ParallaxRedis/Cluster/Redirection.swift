/// A server's redirection to another server of the cluster: `MOVED slot host:port` or `ASK slot host:port`.
struct Redirection: Sendable, Hashable {
  enum Kind {
    /// The other server has the slot from now on.
    case moved
    /// The slot is migrating to the other server, which executes this one command.
    case ask
  }

  let kind: Kind
  let slot: Int
  /// `nil` if the reply omits the host, which means that of the replying server.
  let host: String?
  let port: Int

  /// Reads an error reply; `nil` if it is not a well-formed redirection.
  init?(_ message: String) {
    let words = message.split(separator: " ", omittingEmptySubsequences: false)
    guard words.count >= 3, let slot = Int(words[1]), HashSlot.all.contains(slot), let colon = words[2].lastIndex(of: ":"),
      let port = Int(words[2][words[2].index(after: colon)...]), (1...65_535).contains(port)
    else { return nil }
    switch words[0] {
    case "MOVED": kind = .moved
    case "ASK": kind = .ask
    default: return nil
    }
    self.slot = slot
    self.port = port
    let host = words[2][..<colon]
    self.host = host.isEmpty || host == "?" ? nil : String(host)
  }

  /// The target of the redirection, given the server that sent it.
  func target(from source: RedisConfiguration.Endpoint) -> RedisConfiguration.Endpoint {
    if let host { return .host(host, port: port) }
    if case .host(let host, _) = source { return .host(host, port: port) }
    return source
  }
}
