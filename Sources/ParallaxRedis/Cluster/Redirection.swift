/// A server's redirection to another server of the cluster: `MOVED slot host:port` or `ASK slot host:port`.
struct Redirection: Sendable, Hashable {
  enum Kind {
    /// The other server has the slot from now on.
    case moved
    /// The slot is migrating to the other server, which executes this one command.
    case ask
  }

  enum Host: Hashable {
    case named(String)
    /// The reply omits the host, which means that of the replying server.
    case ofSource
    /// The reply has `?`: the other server should have a host name and has none.
    case unknown
  }

  let kind: Kind
  let slot: Int
  let host: Host
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
    self.host = host.isEmpty ? .ofSource : host == "?" ? .unknown : .named(String(host))
  }

  /// Finds the server that is meant.
  ///
  /// - Parameters:
  ///   - source: The server that redirects.
  ///   - map: The known map.
  /// - Returns: One server, or all of the map that lack a host name and have the port.
  func targets(from source: RedisConfiguration.Endpoint, in map: ClusterMap?) -> [RedisConfiguration.Endpoint] {
    switch host {
    case .named(let host): [.host(host, port: port)]
    case .ofSource: if case .host(let host, _) = source { [.host(host, port: port)] } else { [source] }
    case .unknown:
      map?.unnamed.filter { endpoint in
        if case .host(_, port) = endpoint { endpoint != source } else { false }
      } ?? []
    }
  }
}
