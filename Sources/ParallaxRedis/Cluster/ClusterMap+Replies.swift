/// Reads a server's view of the cluster.
extension ClusterMap {
  /// Reads the reply to CLUSTER SHARDS, which Redis has since 7.0.
  ///
  /// - Parameters:
  ///   - reply: The reply.
  ///   - source: The server that replied: its host replaces a missing host.
  ///   - usesTLS: Whether to use the TLS ports.
  /// - Throws: ``RedisError`` if the reply has another form, several masters of a shard leave the owner of its slots ambiguous, or the
  ///   owner's address is unknown.
  init(shards reply: RESPValue, from source: Endpoint, usesTLS: Bool) throws(RedisError) {
    self.init()
    guard let shards = reply.array else { throw Self.unexpected("SHARDS") }
    var owners: [Endpoint: String] = [:]
    for shard in shards {
      guard let fields = shard.map, let slots = fields["slots"]?.array?.map(\.int), let servers = fields["nodes"]?.array,
        slots.count.isMultiple(of: 2)
      else { throw Self.unexpected("SHARDS") }
      var masters: [(server: AnnouncedServer, isOnline: Bool)] = []
      for fields in servers {
        guard let fields = fields.map, let server = AnnouncedServer(shard: fields, usesTLS: usesTLS) else { continue }
        if fields["role"]?.string == "master" {
          masters.append((server, fields["health"]?.string == "online"))
        } else if let endpoint = server.endpoint(from: source) {
          add(replica: endpoint)
        }
      }
      // A failed master is still listed as a master after its slots have moved; newer versions list it beside the new master.
      let online = masters.filter(\.isOnline)
      if slots.isEmpty {
        for master in online { add(master: master.server, from: source) }
        continue
      }
      guard online.count <= 1 else { throw Self.unexpected("SHARDS") }
      guard let owner = (online.first ?? masters.first)?.server else { continue }
      let endpoint = try Self.endpoint(ofOwner: owner, from: source, &owners)
      add(master: owner, from: source)
      for index in stride(from: 0, to: slots.count, by: 2) {
        guard let range = Self.range(slots[index], slots[index + 1]) else { throw Self.unexpected("SHARDS") }
        assign(range, to: endpoint)
      }
    }
  }

  /// Reads the reply to CLUSTER SLOTS, which all versions have.
  init(slots reply: RESPValue, from source: Endpoint) throws(RedisError) {
    self.init()
    guard let ranges = reply.array else { throw Self.unexpected("SLOTS") }
    var owners: [Endpoint: String] = [:]
    for entry in ranges {
      guard let parts = entry.array, parts.count >= 3, let range = Self.range(parts[0].int, parts[1].int) else {
        throw Self.unexpected("SLOTS")
      }
      for (index, server) in parts[2...].enumerated() {
        guard let fields = server.array, let server = AnnouncedServer(slots: fields) else { continue }
        if index == 0 {
          let endpoint = try Self.endpoint(ofOwner: server, from: source, &owners)
          add(master: server, from: source)
          assign(range, to: endpoint)
        } else if let endpoint = server.endpoint(from: source) {
          add(replica: endpoint)
        }
      }
    }
  }

  private static func range(_ first: Int?, _ last: Int?) -> ClosedRange<Int>? {
    guard let first, let last, first <= last, HashSlot.all.contains(first), HashSlot.all.contains(last) else { return nil }
    return first...last
  }

  private mutating func add(master: AnnouncedServer, from source: Endpoint) {
    guard let endpoint = master.endpoint(from: source) else { return }
    add(master: endpoint)
    if master.isUnnamed { add(unnamed: endpoint) }
  }

  /// Finds a server with slots.
  ///
  /// - Parameters:
  ///   - server: The server.
  ///   - source: The server that replied.
  ///   - owners: The identifiers of the servers with slots, by their addresses.
  /// - Returns: The server's address.
  /// - Throws: ``RedisError`` if the reply does not tell the address.
  private static func endpoint(
    ofOwner server: AnnouncedServer, from source: Endpoint, _ owners: inout [Endpoint: String]
  ) throws(RedisError) -> Endpoint {
    guard let endpoint = server.endpoint(from: source) else {
      throw unreachable("\(source) does not tell the address of the server \(server.identifier), port \(server.port)")
    }
    if let other = owners[endpoint], other != server.identifier, server.sharesHost {
      throw unreachable("\(source) announces the servers \(other) and \(server.identifier) by their common port \(server.port) alone")
    }
    owners[endpoint] = server.identifier
    return endpoint
  }

  private static func unreachable(_ reason: String) -> RedisError {
    RedisError(.invalidConfiguration, command: "CLUSTER", message: "\(reason): \(AnnouncedServer.remedy).")
  }

  private static func unexpected(_ what: String) -> RedisError {
    RedisError(.unexpectedReply, command: "CLUSTER", message: "The reply to CLUSTER \(what) does not have the expected form.")
  }
}
