import Synchronization

/// A Redis Cluster on free loopback ports.
///
/// ```swift
/// try await RedisClusterDeployment.with { cluster in … cluster.endpoints … cluster.failover(ofSlot: 0) … }
/// ```
package final class RedisClusterDeployment: Sendable {
  /// The options of the nodes.
  package struct Options: Sendable {
    package var primaries: Int
    package var replicasPerPrimary: Int
    package var password: String?
    /// The ACL users of every node besides the default one, such as `worker on >secret ~app:* +@read`.
    package var users: [String]
    /// The TLS settings of all ports and of the cluster's bus; nil for plain ones.
    package var tls: RedisServer.TLS?
    /// Further settings of every node.
    package var arguments: [String]

    package init(
      primaries: Int = 3, replicasPerPrimary: Int = 1, password: String? = nil, users: [String] = [], tls: RedisServer.TLS? = nil,
      arguments: [String] = []
    ) {
      self.primaries = primaries
      self.replicasPerPrimary = replicasPerPrimary
      self.password = password
      self.users = users
      self.tls = tls
      self.arguments = arguments
    }
  }

  /// All nodes: the initial primaries in the order of their slots, then their replicas, then later ones.
  package var nodes: [RedisServer] { members.withLock { $0 } }
  let members: Mutex<[RedisServer]>
  let serverOptions: RedisServer.Options
  private let options: Options

  package var endpoints: [(host: String, port: Int)] {
    nodes.map { ("127.0.0.1", $0.port) }
  }

  private init(_ options: Options) throws {
    self.options = options
    var arguments = [
      "--cluster-enabled", "yes", "--cluster-node-timeout", "1000", "--cluster-replica-validity-factor", "0",
      "--cluster-allow-replica-migration", "no",
    ]
    if options.tls != nil { arguments += ["--tls-cluster", "yes"] }
    arguments += options.arguments
    let server = RedisServer.Options(password: options.password, users: options.users, tls: options.tls, arguments: arguments)
    serverOptions = server
    members = Mutex(try (0..<options.primaries * (1 + options.replicasPerPrimary)).map { _ in try RedisServer(server) })
  }

  /// Starts a cluster, passes it to the body once it is healthy, and always ends it.
  package static func with<Value>(
    _ options: Options = Options(), isolation: isolated (any Actor)? = #isolation, _ body: (RedisClusterDeployment) async throws -> Value
  ) async throws -> Value {
    let cluster = try await LoopbackPort.retrying {
      let cluster = try RedisClusterDeployment(options)
      do {
        try await cluster.start()
        return cluster
      } catch {
        cluster.end()
        throw error
      }
    }
    defer { cluster.end() }
    return try await body(cluster)
  }

  private func start() async throws {
    let nodes = nodes
    for node in nodes { try node.launch() }
    for node in nodes { try await node.awaitStart() }
    let primaries = nodes.prefix(options.primaries)
    for (index, primary) in primaries.enumerated() {
      let first = RedisHashSlot.count * index / primaries.count
      let last = RedisHashSlot.count * (index + 1) / primaries.count - 1
      try primary.withConnection { connection in
        try connection.pipeline([["CLUSTER", "SET-CONFIG-EPOCH", "\(index + 1)"], ["CLUSTER", "ADDSLOTSRANGE", "\(first)", "\(last)"]])
      }
    }
    // Each node meets every other at once, because gossip would take longer.
    for (index, node) in nodes.enumerated() {
      try node.withConnection { connection in
        try connection.pipeline(nodes[(index + 1)...].map { ["CLUSTER", "MEET", "127.0.0.1", "\($0.port)"] })
      }
    }
    try await awaitNoComplaint("nodes that know each other", within: .seconds(20)) {
      try nodes.contains { try view(of: $0).nodes.count { !$0.flags.contains("handshake") } != nodes.count } ? "some do not" : nil
    }
    for (index, replica) in nodes.dropFirst(primaries.count).enumerated() {
      try replica.command("CLUSTER", "REPLICATE", try identifier(of: nodes[index % primaries.count]))
    }
    try await awaitHealthy()
  }

  private func end() {
    for node in nodes { node.kill() }
  }

  // MARK: Roles

  private var responsive: [RedisServer] { nodes.filter(\.isResponsive) }

  private func view(of node: RedisServer) throws -> RedisClusterView {
    try node.withConnection { try RedisClusterView($0) }
  }

  /// The cluster's identifier of a node.
  package func identifier(of node: RedisServer) throws -> String {
    try node.command("CLUSTER", "MYID").text ?? ""
  }

  /// The node that claims a slot; of several, the one with the latest epoch.
  package func primary(ofSlot slot: Int) throws -> RedisServer {
    let owners = try responsive.compactMap { node -> (node: RedisServer, epoch: Int)? in
      guard let own = try view(of: node).own, own.isPrimary, own.slots.contains(where: { $0.contains(slot) }) else { return nil }
      return (node, own.epoch)
    }
    guard let owner = owners.max(by: { $0.epoch < $1.epoch }) else {
      throw RedisServer.Failure(description: "no node that runs owns slot \(slot)")
    }
    return owner.node
  }

  /// The node that claims the slot of a key.
  package func primary(ofKey key: String) throws -> RedisServer {
    try primary(ofSlot: RedisHashSlot.of(key))
  }

  /// The nodes that claim slots.
  package func primaries() throws -> [RedisServer] {
    try responsive.filter { node in
      guard let own = try view(of: node).own else { return false }
      return own.isPrimary && !own.slots.isEmpty
    }
  }

  /// The slots that a node claims.
  package func slots(of node: RedisServer) throws -> [Int] {
    try view(of: node).own?.slots.flatMap(Array.init) ?? []
  }

  /// The nodes that replicate a primary.
  package func replicas(of primary: RedisServer) throws -> [RedisServer] {
    let identifier = try identifier(of: primary)
    return try responsive.filter { try view(of: $0).own?.primary == identifier }
  }

  // MARK: Failover

  /// Makes a replica the owner of a slot by `CLUSTER FAILOVER`, and waits until all nodes know.
  ///
  /// - Returns: The new owner.
  @discardableResult
  package func failover(ofSlot slot: Int = 0) async throws -> RedisServer {
    let former = try primary(ofSlot: slot)
    guard let replica = try replicas(of: former).first else {
      throw RedisServer.Failure(description: "the owner of slot \(slot) has no replica")
    }
    // A primary ignores a replica that it does not know yet, and no node votes for a replica that it takes for a primary.
    let (primary, follower) = (try identifier(of: former), try identifier(of: replica))
    try await awaitNoComplaint("nodes that know whom \(replica.port) replicates", within: .seconds(20)) {
      let knows = { (node: RedisServer) in
        try self.view(of: node).nodes.contains { $0.identifier == follower && $0.primary == primary }
      }
      return try responsive.first { try !knows($0) }.map { "\($0.port) does not" }
    }
    try replica.command("CLUSTER", "FAILOVER")
    return try await awaitPrimary(ofSlot: slot, otherThan: former)
  }

  /// Waits until all running nodes but the former owner report a new owner of a slot and a working cluster.
  ///
  /// - Returns: The new owner.
  @discardableResult
  package func awaitPrimary(
    ofSlot slot: Int, otherThan former: RedisServer, within limit: Duration = .seconds(20)
  ) async throws -> RedisServer {
    try await awaitNoComplaint("another owner of slot \(slot)", within: limit) {
      let owner = try primary(ofSlot: slot)
      if owner === former { return "the former owner still is" }
      for node in responsive where node !== former {
        if try view(of: node).owner(ofSlot: slot) != owner.port { return "\(node.port) does not name \(owner.port)" }
        if try !serves(node) { return "\(node.port) says that the cluster is down" }
      }
      return nil
    }
    return try primary(ofSlot: slot)
  }

  /// Waits until all running nodes agree on the owners of all slots, serve, are connected to each other, and are in sync.
  package func awaitHealthy(within limit: Duration = .seconds(40)) async throws {
    try await awaitNoComplaint("a healthy cluster", within: limit) {
      let nodes = responsive
      let views = try nodes.map { try view(of: $0) }
      if Set(views.map(\.ownership)).count > 1 { return "the nodes do not agree on the owners of the slots" }
      for (node, view) in zip(nodes, views) {
        if let complaint = try complaint(of: node, view: view, running: Set(nodes.map(\.port))) { return "\(node.port) \(complaint)" }
      }
      return nil
    }
  }

  private func complaint(of node: RedisServer, view: RedisClusterView, running: Set<Int>) throws -> String? {
    if try !serves(node) { return "says that the cluster is down" }
    let seen = view.nodes.filter { running.contains($0.port) }
    guard seen.count == running.count else { return "knows \(seen.count) of \(running.count) nodes" }
    if let other = seen.first(where: { !$0.isConnected || !$0.flags.isDisjoint(with: ["handshake", "noaddr", "fail", "fail?"]) }) {
      return "has no good connection to \(other.port)"
    }
    guard let own = view.own, !own.isPrimary else { return nil }
    let link = try node.info("replication")["master_link_status"]
    return link == "up" ? nil : "replicates nothing yet"
  }

  private func serves(_ node: RedisServer) throws -> Bool {
    try node.command("CLUSTER", "INFO").text?.contains("cluster_state:ok") == true
  }
}
