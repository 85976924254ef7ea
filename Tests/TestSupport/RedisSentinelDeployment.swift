/// A Redis primary with its replicas and sentinels, on free loopback ports.
///
/// ```swift
/// try await RedisSentinelDeployment.with { deployment in … deployment.sentinelEndpoints … deployment.failover() … }
/// ```
package final class RedisSentinelDeployment: Sendable {
  /// The options of the servers.
  package struct Options: Sendable {
    package var replicas: Int
    package var sentinels: Int
    /// The password of primary and replicas.
    package var password: String?
    /// The password of the sentinels.
    package var sentinelPassword: String?
    /// The TLS settings of all ports; nil for plain ones.
    package var tls: RedisServer.TLS?
    /// Further settings of primary and replicas.
    package var arguments: [String]

    package init(
      replicas: Int = 2, sentinels: Int = 3, password: String? = nil, sentinelPassword: String? = nil, tls: RedisServer.TLS? = nil,
      arguments: [String] = []
    ) {
      self.replicas = replicas
      self.sentinels = sentinels
      self.password = password
      self.sentinelPassword = sentinelPassword
      self.tls = tls
      self.arguments = arguments
    }
  }

  /// The sentinels' name of the primary.
  package static let masterName = "the-primary"

  /// The primary and the replicas, in no particular order.
  package let nodes: [RedisServer]
  package let sentinels: [RedisServer]

  package var masterName: String { Self.masterName }

  package var sentinelEndpoints: [(host: String, port: Int)] {
    sentinels.map { ("127.0.0.1", $0.port) }
  }

  private init(_ options: Options) throws {
    let nodes = try (0...options.replicas).map { _ in
      try RedisServer(.init(password: options.password, tls: options.tls, arguments: options.arguments))
    }
    var watch = [
      "sentinel monitor \(Self.masterName) 127.0.0.1 \(nodes[0].port) \(options.sentinels / 2 + 1)",
      "sentinel down-after-milliseconds \(Self.masterName) 1000", "sentinel failover-timeout \(Self.masterName) 5000",
    ]
    if let password = options.password { watch.append("sentinel auth-pass \(Self.masterName) \(password)") }
    sentinels = try (0..<options.sentinels).map { _ in
      try RedisServer(.init(password: options.sentinelPassword, tls: options.tls, sentinel: watch))
    }
    self.nodes = nodes
  }

  /// Starts a deployment, passes it to the body once it is healthy, and always ends it.
  package static func with<Value>(
    _ options: Options = Options(), isolation: isolated (any Actor)? = #isolation, _ body: (RedisSentinelDeployment) async throws -> Value
  ) async throws -> Value {
    let deployment = try await LoopbackPort.retrying {
      let deployment = try RedisSentinelDeployment(options)
      do {
        try await deployment.start()
        return deployment
      } catch {
        deployment.end()
        throw error
      }
    }
    defer { deployment.end() }
    return try await body(deployment)
  }

  private func start() async throws {
    for node in nodes { try node.launch() }
    for node in nodes { try await node.awaitStart() }
    for replica in nodes.dropFirst() {
      // A command instead of an option, because an option would override the sentinels' later decisions after a restart.
      try replica.command("REPLICAOF", "127.0.0.1", "\(nodes[0].port)")
      try replica.command("CONFIG", "REWRITE")
    }
    // A sentinel looks for replicas at its start, and then every ten seconds.
    try await eventually("the replicas follow", every: .milliseconds(5)) {
      try nodes[0].info("replication").values.count { $0.hasSuffix("state=online") || $0.contains("state=online,") } == nodes.count - 1
    }
    for sentinel in sentinels { try sentinel.launch() }
    for sentinel in sentinels { try await sentinel.awaitStart() }
    try await awaitHealthy()
  }

  private func end() {
    for server in sentinels + nodes { server.kill() }
  }

  // MARK: Roles

  /// The primary in the view of the sentinel with the latest failover.
  package func primary() throws -> RedisServer {
    let views = try sentinels.filter(\.isResponsive).map { try view(of: $0) }
    guard let latest = views.max(by: { $0.epoch < $1.epoch }), let node = nodes.first(where: { $0.port == latest.port }) else {
      throw RedisServer.Failure(description: "no sentinel knows the primary")
    }
    return node
  }

  /// The running servers but the primary.
  package func replicas() throws -> [RedisServer] {
    let primary = try primary()
    return nodes.filter { $0 !== primary && $0.isResponsive }
  }

  private func view(of sentinel: RedisServer) throws -> (port: Int?, epoch: Int) {
    try sentinel.withConnection { connection in
      let epoch = try connection.command("SENTINEL", "MASTER", Self.masterName).fields["config-epoch"].flatMap { Int($0) }
      let address = try connection.command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", Self.masterName).texts
      return (address.last.flatMap { Int($0) }, epoch ?? 0)
    }
  }

  // MARK: Faults

  /// Makes the sentinels promote a replica, and waits until they agree and the new primary accepts writes and has the other replicas.
  ///
  /// The former primary keeps its role, and accepts writes that will be lost, until the sentinels demote it some ten seconds later, or at
  /// ``awaitHealthy(within:)``. With `coordinated`, which only Valkey supports, it hands over and is a replica at once.
  ///
  /// - Returns: The new primary.
  @discardableResult
  package func failover(coordinated: Bool = false) async throws -> RedisServer {
    let former = try primary()
    let command = ["SENTINEL", "FAILOVER", Self.masterName] + (coordinated ? ["COORDINATED"] : [])
    try await eventually("a sentinel begins the failover", within: .seconds(20)) {
      switch try sentinels.first(where: \.isResponsive)?.withConnection({ try $0.reply(to: command) }) {
      case .string: true
      case .error(let message) where message.hasPrefix("NOGOODSLAVE") || message.hasPrefix("INPROG"): false
      case let other: throw RedisServer.Failure(description: "SENTINEL FAILOVER: \(other.map { "\($0)" } ?? "no sentinel runs")")
      }
    }
    return try await awaitPrimary(otherThan: former)
  }

  /// Kills the primary.
  ///
  /// - Returns: The server, to start again.
  @discardableResult
  package func killPrimary() throws -> RedisServer {
    let primary = try primary()
    primary.kill()
    return primary
  }

  /// Stops the primary with SIGSTOP.
  ///
  /// - Returns: The server, for ``resume(_:)``.
  @discardableResult
  package func pausePrimary() throws -> RedisServer {
    let primary = try primary()
    primary.pause()
    return primary
  }

  /// Continues a paused server.
  package func resume(_ server: RedisServer) { server.resume() }

  /// Delays the demotion of a former primary from ten seconds to a minute, until ``awaitHealthy(within:)``.
  package func delayDemotion() throws {
    // Sentinels wait for four periods.
    try setPeriods(telling: 15_000, asking: 10_000)
  }

  // MARK: Waiting

  /// Waits until all sentinels report a new primary that accepts writes and has all running servers but the former primary as replicas.
  @discardableResult
  package func awaitPrimary(otherThan former: RedisServer, within limit: Duration = .seconds(60)) async throws -> RedisServer {
    try await awaitNoComplaint("another primary", within: limit) {
      let primary = try primary()
      if primary === former { return "the sentinels still name the former primary" }
      return try complaint(ofSentinelsAbout: primary) ?? complaint(of: nodes.filter { $0 !== former }, about: primary)
    }
    return try primary()
  }

  /// Waits until there is one primary that accepts writes, all other running servers are its replicas, and the sentinels know all servers
  /// and each other.
  ///
  /// The sentinels poll far more often during the wait; with their default periods it could take twenty seconds.
  package func awaitHealthy(within limit: Duration = .seconds(20)) async throws {
    try setPeriods(telling: 100, asking: 100)
    defer { try? setPeriods(telling: 2_000, asking: 10_000) }
    try await awaitNoComplaint("healthy servers and sentinels", within: limit) {
      let primary = try primary()
      return try complaint(ofSentinelsAbout: primary) ?? complaint(of: nodes, about: primary) ?? complaintOfKnowledge()
    }
  }

  /// Sets the periods at which sentinels publish their view and poll the servers' roles, in milliseconds.
  private func setPeriods(telling: Int, asking: Int) throws {
    for sentinel in sentinels where sentinel.isResponsive {
      try sentinel.command("SENTINEL", "DEBUG", "PUBLISH-PERIOD", "\(telling)", "INFO-PERIOD", "\(asking)")
    }
  }

  private func complaint(ofSentinelsAbout primary: RedisServer) throws -> String? {
    for sentinel in sentinels where sentinel.isResponsive {
      if try view(of: sentinel).port != primary.port { return "sentinel \(sentinel.port) does not name \(primary.port)" }
    }
    return nil
  }

  private func complaint(of nodes: [RedisServer], about primary: RedisServer) throws -> String? {
    for node in nodes where node.isResponsive {
      let role = try node.command("ROLE").elements
      if node === primary {
        if role.first?.text != "master" { return "\(node.port) is no primary" }
        if role[2].elements.contains(where: { $0.elements[2].number == 0 }) { return "\(node.port) has a replica that has nothing yet" }
      } else if role.first?.text != "slave" || role[2].number != primary.port || role[3].text != "connected" {
        return "\(node.port) does not follow \(primary.port)"
      }
    }
    return nil
  }

  private func complaintOfKnowledge() throws -> String? {
    let running = nodes.filter(\.isResponsive)
    for sentinel in sentinels where sentinel.isResponsive {
      let complaint = try sentinel.withConnection { connection -> String? in
        let master = try connection.command("SENTINEL", "MASTER", Self.masterName).fields
        if master["flags"] != "master" { return "sees the primary as \(master["flags"] ?? "?")" }
        if master["num-other-sentinels"] != "\(sentinels.count - 1)" { return "does not know all sentinels" }
        let others = try connection.command("SENTINEL", "SENTINELS", Self.masterName).elements.map(\.fields)
        let livingSentinels = sentinels.count { $0.isResponsive && $0 !== sentinel }
        if others.count(where: { $0["flags"] == "sentinel" }) != livingSentinels { return "is not connected to all sentinels" }
        let replicas = try connection.command("SENTINEL", "REPLICAS", Self.masterName).elements.map(\.fields)
        let good = replicas.count { $0["flags"] == "slave" && $0["master-link-status"] == "ok" }
        return good == running.count - 1 ? nil : "sees \(good) of \(running.count - 1) replicas"
      }
      if let complaint { return "sentinel \(sentinel.port) \(complaint)" }
    }
    return nil
  }
}
