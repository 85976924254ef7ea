/// Reads a server's view of the cluster.
extension ClusterMap {
  /// Reads the reply to CLUSTER SHARDS, which Redis has since 7.0.
  ///
  /// - Parameters:
  ///   - reply: The reply.
  ///   - source: The server that replied: its host replaces a missing host.
  ///   - usesTLS: Whether to use the TLS ports.
  /// - Throws: ``RedisError`` if the reply has another form, or several masters of a shard leave the owner of its slots ambiguous.
  init(shards reply: RESPValue, from source: Endpoint, usesTLS: Bool) throws(RedisError) {
    self.init()
    guard let shards = reply.array else { throw Self.unexpected("SHARDS") }
    for shard in shards {
      guard let fields = shard.map, let slots = fields["slots"]?.array?.map(\.int), let servers = fields["nodes"]?.array,
        slots.count.isMultiple(of: 2)
      else { throw Self.unexpected("SHARDS") }
      var masters: [(endpoint: Endpoint, isOnline: Bool)] = []
      for server in servers {
        guard let server = server.map, let endpoint = Self.endpoint(ofShard: server, from: source, usesTLS: usesTLS) else { continue }
        if server["role"]?.string == "master" {
          masters.append((endpoint, server["health"]?.string == "online"))
        } else {
          add(replica: endpoint)
        }
      }
      // A failed master is still listed as a master after its slots have moved; newer versions list it beside the new master.
      let online = masters.filter(\.isOnline)
      if slots.isEmpty {
        for master in online { add(master: master.endpoint) }
        continue
      }
      guard online.count <= 1 else { throw Self.unexpected("SHARDS") }
      guard let owner = online.first ?? masters.first else { continue }
      for index in stride(from: 0, to: slots.count, by: 2) {
        guard let range = Self.range(slots[index], slots[index + 1]) else { throw Self.unexpected("SHARDS") }
        assign(range, to: owner.endpoint)
      }
    }
  }

  /// Reads the reply to CLUSTER SLOTS, which all versions have.
  init(slots reply: RESPValue, from source: Endpoint) throws(RedisError) {
    self.init()
    guard let ranges = reply.array else { throw Self.unexpected("SLOTS") }
    for entry in ranges {
      guard let parts = entry.array, parts.count >= 3, let range = Self.range(parts[0].int, parts[1].int) else {
        throw Self.unexpected("SLOTS")
      }
      for (index, server) in parts[2...].enumerated() {
        guard let server = server.array, server.count >= 2, let port = Self.port(server[1].int) else { continue }
        let metadata = server.count > 3 ? server[3].map : nil
        let address = metadata?["ip"]?.string ?? metadata?["hostname"]?.string
        guard let endpoint = Self.endpoint(server[0].string, orElse: address, port: port, from: source) else { continue }
        if index == 0 { assign(range, to: endpoint) } else { add(replica: endpoint) }
      }
    }
  }

  private static func range(_ first: Int?, _ last: Int?) -> ClosedRange<Int>? {
    guard let first, let last, first <= last, HashSlot.all.contains(first), HashSlot.all.contains(last) else { return nil }
    return first...last
  }

  private static func endpoint(ofShard server: [String: RESPValue], from source: Endpoint, usesTLS: Bool) -> Endpoint? {
    guard let port = port(server[usesTLS ? "tls-port" : "port"]?.int) else { return nil }
    return endpoint(server["endpoint"]?.string, orElse: server["ip"]?.string, port: port, from: source)
  }

  private static func port(_ number: Int?) -> Int? {
    number.flatMap { (1...65_535).contains($0) ? $0 : nil }
  }

  /// The address of a server.
  ///
  /// A server that does not know its own host omits it; a cluster that announces host names gives `?` for a server without one, with its IP
  /// address elsewhere in the reply.
  private static func endpoint(_ host: String?, orElse address: String?, port: Int, from source: Endpoint) -> Endpoint? {
    if host == "?" { return address.flatMap { $0.isEmpty || $0 == "?" ? nil : .host($0, port: port) } }
    if let host, !host.isEmpty { return .host(host, port: port) }
    // The address through which the server was reached.
    guard case .host(let host, _) = source else { return nil }
    return .host(host, port: port)
  }

  private static func unexpected(_ what: String) -> RedisError {
    RedisError(.unexpectedReply, command: "CLUSTER", message: "The reply to CLUSTER \(what) does not have the expected form.")
  }
}
