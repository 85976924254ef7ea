/// The migration of slots from one node of a cluster to another, in single steps.
///
/// After ``begin()`` the source answers ASK for absent keys, and TRYAGAIN for commands with keys on both sides; after ``finish()`` it
/// answers MOVED.
package struct RedisSlotMigration: Sendable {
  package let slots: [Int]
  package let source: RedisServer
  package let target: RedisServer
  private let cluster: RedisClusterDeployment

  init(of slots: [Int], from source: RedisServer, to target: RedisServer, in cluster: RedisClusterDeployment) {
    self.slots = slots
    self.source = source
    self.target = target
    self.cluster = cluster
  }

  /// Marks the slots as importing at the target, then as migrating at the source.
  package func begin() throws {
    let (sourceName, targetName) = (try cluster.identifier(of: source), try cluster.identifier(of: target))
    try set(slots, "IMPORTING", sourceName, at: target)
    try set(slots, "MIGRATING", targetName, at: source)
  }

  /// The keys that are still at the source, at most `limit` of each slot.
  package func remainingKeys(perSlot limit: Int = 1_000) throws -> [String] {
    try source.withConnection { connection in
      try connection.pipeline(slots.map { ["CLUSTER", "GETKEYSINSLOT", "\($0)", "\(limit)"] }).flatMap(\.texts)
    }
  }

  /// Moves keys of the slots.
  package func move(_ keys: [String]) throws {
    let authentication = target.options.credentials.map { ["AUTH2", $0.user, $0.password] } ?? []
    let head = ["MIGRATE", "127.0.0.1", "\(target.port)", "", "0", "5000"] + authentication + ["KEYS"]
    let bySlot = Dictionary(grouping: keys, by: RedisHashSlot.of)
    try source.withConnection { connection in try connection.pipeline(bySlot.values.map { head + $0 }) }
  }

  /// Moves up to a number of keys.
  ///
  /// - Returns: The number of moved keys; 0 if none are left.
  @discardableResult
  package func moveKeys(atMost limit: Int) throws -> Int {
    let keys = Array(try remainingKeys(perSlot: limit).prefix(limit))
    try move(keys)
    return keys.count
  }

  /// Makes the target the owner, at the target first and at the other primaries last.
  ///
  /// The source must have no keys of the slots.
  package func finish() throws {
    let name = try cluster.identifier(of: target)
    try set(slots, "NODE", name, at: target)
    try set(slots, "NODE", name, at: source)
    for other in try cluster.primaries() where other !== source && other !== target { try set(slots, "NODE", name, at: other) }
  }

  /// Abandons the migration: the source keeps the slots, and moved keys stay unreachable at the target.
  package func cancel() throws {
    for node in [source, target] {
      try node.withConnection { connection in try connection.pipeline(slots.map { ["CLUSTER", "SETSLOT", "\($0)", "STABLE"] }) }
    }
  }

  private func set(_ slots: [Int], _ state: String, _ name: String, at node: RedisServer) throws {
    try node.withConnection { connection in try connection.pipeline(slots.map { ["CLUSTER", "SETSLOT", "\($0)", state, name] }) }
  }
}

extension RedisClusterDeployment {
  /// Makes a migration of slots of the source, without beginning it.
  package func migration(of slots: [Int], from source: RedisServer, to target: RedisServer) -> RedisSlotMigration {
    RedisSlotMigration(of: slots, from: source, to: target, in: self)
  }

  /// Migrates slots with their keys, and waits until all nodes know.
  package func migrate(slots: [Int], from source: RedisServer, to target: RedisServer) async throws {
    let migration = migration(of: slots, from: source, to: target)
    try migration.begin()
    while try migration.moveKeys(atMost: 100) > 0 { try Task.checkCancellation() }
    try migration.finish()
    try await awaitHealthy()
  }

  /// Makes Valkey move slots with their keys in one step (`CLUSTER MIGRATESLOTS`), and waits until every node knows.
  package func migrateAtOnce(_ slots: [Int], from source: RedisServer, to target: RedisServer) async throws {
    let ranges = slots.flatMap { ["\($0)", "\($0)"] }
    let command = ["CLUSTER", "MIGRATESLOTS", "SLOTSRANGE"] + ranges + ["NODE", try identifier(of: target)]
    _ = try source.withConnection { try $0.command(command) }
    try await eventually("the slots have moved", within: .seconds(20)) {
      try nodes.allSatisfy { node in
        let view = try node.withConnection { try RedisClusterView($0) }
        return slots.allSatisfy { view.owner(ofSlot: $0) == target.port }
      }
    }
    try await awaitHealthy()
  }

  /// Moves a number of slots one after the other, as `redis-cli --cluster reshard` does, while others read and write.
  ///
  /// - Returns: The migrated slots.
  @discardableResult
  package func reshard(_ count: Int, from source: RedisServer, to target: RedisServer) async throws -> [Int] {
    let slots = try Array(slots(of: source).prefix(count))
    for slot in slots {
      try Task.checkCancellation()
      let migration = migration(of: [slot], from: source, to: target)
      try migration.begin()
      while try migration.moveKeys(atMost: 10) > 0 { await Task.yield() }
      try migration.finish()
    }
    try await awaitHealthy()
    return slots
  }
}
