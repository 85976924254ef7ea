import ParallaxRedis
import TestSupport
import Testing

@Suite("Changes of a real cluster under load", .onCluster(), .serialized, .timeLimit(.minutes(2)))
struct ClusterChangeTests {
  /// Runs a load while the body changes the cluster; every command must succeed.
  private func changing(
    _ name: String, _ body: @Sendable (RedisClusterDeployment, ClusterLoad) async throws -> Void
  ) async throws {
    try await withClusterClient { cluster, client async throws in
      let load = ClusterLoad(client, tags: keys(name, perThird: 2))
      let clock = ContinuousClock()
      let (began, rounds) = (clock.now, try cluster.timesAskedForShards)
      try await load.run {
        try await load.advance()
        try await body(cluster, load)
        try await load.advance()
      }
      let seen = load.seen
      let seconds = (clock.now - began) / .seconds(1)
      let asked = try cluster.timesAskedForShards - rounds
      print("\(name): \(seen.done) calls in \(seconds) s, slowest \(seen.slowest.values.max() ?? .zero), \(asked) CLUSTER SHARDS")
      #expect(seen.failures.isEmpty)
      #expect(seen.wrong.isEmpty)
      #expect(seen.lostIncrements == 0 && seen.lostValues == 0)
      // Three servers in each of at most ten rounds per second.
      #expect(Double(asked) < 30 * (seconds + 1))
      for (key, counter) in seen.counters { #expect(try await client.send(RedisCommand("GET", key)).int == counter.value) }
    }
  }

  @Test("Slots that move step by step: MOVED, ASK and TRYAGAIN are followed, and transactions wait")
  func migration() async throws {
    try await changing("steps") { cluster, load async throws in
      let moving = Array(load.tags[0...1])
      let slots = moving.map { RedisHashSlot.of($0) }
      let source = try cluster.primary(ofSlot: slots[0])
      let target = try cluster.primary(ofKey: load.tags[4])
      let migration = cluster.migration(of: slots, from: source, to: target)
      try migration.begin()
      try await load.advance()
      // One of each pair: the caller of the pair waits for the other key too.
      try migration.move(moving.map { "one\($0)" })
      try await eventually("TRYAGAIN") { try source.errors("TRYAGAIN") > 0 }
      try migration.move(moving.map { ClusterLoad.counter($0) })
      try await load.advance()
      while try migration.moveKeys(atMost: 1) > 0 { try await load.advance(by: 1) }
      try migration.finish()
      try await load.advance()
      #expect(try source.errors("ASK") > 0)
      #expect(try source.errors("MOVED") > 0)
      try await cluster.migrate(slots: slots, from: target, to: source)
    }
  }

  @Test("Redirected commands of a pipeline keep their order")
  func orderWhileMoving() async throws {
    try await withClusterClient { cluster, client async throws in
      let key = keys("order")[1]
      let slot = RedisHashSlot.of(key)
      let source = try cluster.primary(ofSlot: slot)
      let target = try cluster.primary(ofSlot: 0)
      let migration = cluster.migration(of: [slot], from: source, to: target)
      try migration.begin()
      let lengths = try await client.pipeline((1...500).map { RedisCommand("RPUSH", key, $0) }).map { try $0.get().int }
      #expect(lengths == Array(1...500))
      #expect(try source.errors("ASK") >= 500)
      try migration.finish()
      #expect(try await client.pipeline((501...999).map { RedisCommand("RPUSH", key, $0) }).map { try $0.get().int } == Array(501...999))
      #expect(try await client.send(RedisCommand("LRANGE", key, 0, -1)).array?.map(\.int) == Array(1...999))
      try await cluster.migrate(slots: [slot], from: target, to: source)
    }
  }

  @Test("A reshard back and forth")
  func reshard() async throws {
    try await changing("reshard") { cluster, load async throws in
      let (source, target) = (try cluster.primary(ofSlot: 0), try cluster.primary(ofKey: load.tags[2]))
      let slots = [0, 1].map { RedisHashSlot.of(load.tags[$0]) } + Array(try cluster.slots(of: source).prefix(50))
      for slot in Set(slots) { try await cluster.move(slot, from: source, to: target) }
      try await cluster.awaitHealthy()
      try await load.advance()
      for slot in Set(slots) { try await cluster.move(slot, from: target, to: source) }
      try await cluster.awaitHealthy()
    }
  }

  @Test("Valkey's atomic migration of slots needs no ASK", .enabled(if: RedisServer.isValkey))
  func atomicMigration() async throws {
    try await changing("atomic") { cluster, load async throws in
      let slots = Set(load.tags[0...1].map { RedisHashSlot.of($0) }).sorted()
      let (source, target) = (try cluster.primary(ofSlot: slots[0]), try cluster.primary(ofKey: load.tags[4]))
      let asked = try source.errors("ASK")
      for (from, to) in [(source, target), (target, source)] {
        try await cluster.migrateAtOnce(slots, from: from, to: to)
        try await load.advance()
      }
      #expect(try source.errors("MOVED") > 0)
      #expect(try source.errors("ASK") == asked)
    }
  }

  @Test("CLUSTER FAILOVER loses no command and no write")
  func failover() async throws {
    try await changing("failover") { cluster, load async throws in
      for tag in [load.tags[0], load.tags[2], load.tags[0]] {
        let began = ContinuousClock.now
        try await cluster.failover(ofSlot: RedisHashSlot.of(tag))
        try await load.advance(by: 1)
        print("failover: written again after \(ContinuousClock.now - began)")
        try await cluster.awaitHealthy()
      }
    }
  }

  @Test(
    "A master joins, gets its first slots, gives them back and leaves; also where CLUSTER SLOTS does not name one without slots",
    arguments: [["+cluster|shards"], ["-cluster|shards"]])
  func membership(rights: [String]) async throws {
    try await changing("membership\(rights)") { cluster, load async throws in
      let moving = Array(load.tags[2...3])
      let slots = moving.map { RedisHashSlot.of($0) }
      let source = try cluster.primary(ofSlot: slots[0])
      let newcomer = try await cluster.join()
      for node in cluster.nodes { try node.command("ACL", "SETUSER", "default", rights[0]) }
      let migration = cluster.migration(of: slots, from: source, to: newcomer)
      try migration.begin()
      try migration.move(moving.map { ClusterLoad.counter($0) })
      try await load.advance(moving)
      let connection = try newcomer.clientConnections
      // A change elsewhere that the client learns of must not end the connection to the new server.
      let other = RedisHashSlot.of(load.tags[0])
      let owner = try cluster.primary(ofSlot: other)
      try await cluster.migrate(slots: [other], from: owner, to: try cluster.primary(ofKey: load.tags[4]))
      try await load.advance()
      try await cluster.migrate(slots: [other], from: try cluster.primary(ofSlot: other), to: owner)
      try await load.advance()
      #expect(connection.count == 1)
      #expect(try newcomer.clientConnections == connection)
      while try migration.moveKeys(atMost: 1) > 0 { try await load.advance(by: 1) }
      try migration.finish()
      try await load.advance()
      try await cluster.migrate(slots: slots, from: newcomer, to: source)
      try await load.advance()
      try await cluster.remove(newcomer)
      for node in cluster.nodes { try node.command("ACL", "SETUSER", "default", "+@all") }
    }
  }

  @Test("Commands in flight on a leased connection complete when another master takes over")
  func inFlight() async throws {
    try await withClusterClient { cluster, client async throws in
      let key = keys("in flight")[0]
      let master = try cluster.primary(ofKey: key)
      let replica = try #require(try cluster.replicas(of: master).first)
      try await client.withConnection(forKey: key) { connection async throws in
        try master.command("CLIENT", "PAUSE", "1500", "WRITE")
        async let result = Task { try await connection.send(RedisCommand("INCR", key)) }.result
        try await eventually("the command is held") { try master.command("CLIENT", "LIST").text?.contains("cmd=incr") == true }
        try replica.command("CLUSTER", "FAILOVER", "TAKEOVER")
        let (former, latter) = (try cluster.identifier(of: master), try cluster.identifier(of: replica))
        try await eventually("all know who replicates whom") {
          cluster.nodes.allSatisfy { node in
            guard case .array(let lines)? = try? node.command("CLUSTER", "REPLICAS", latter) else { return false }
            return lines.contains { $0.text?.hasPrefix(former) == true }
          }
        }
        // A read is not delayed, but redirected.
        #expect(try await client.send(RedisCommand("EXISTS", key)).int == 0)
        #expect(try await client.send(RedisCommand("INCR", key)).int == 1)
        let held = await result
        // On a slow machine the client has given up the silent server before its MOVED.
        let outcome = try #require(try await redisError { try held.get() })
        #expect(outcome.serverCode == "MOVED" || outcome.code == .unknownOutcome, "\(outcome)")
        #expect(try await redisError { try await connection.send(RedisCommand("INCR", key)) }?.mayHaveExecuted == false)
      }
      #expect(try await client.withConnection(forKey: key) { try await $0.send(RedisCommand("INCR", key)).int } == 2)
    }
  }
}

extension RedisClusterDeployment {
  /// The number of CLUSTER SHARDS calls at all running nodes.
  var timesAskedForShards: Int {
    get throws {
      try nodes.filter(\.isResponsive).reduce(0) { sum, node in
        let calls = try node.info("commandstats")["cmdstat_cluster|shards"]?.split(separator: ",").first?.split(separator: "=").last
        return sum + (calls.flatMap { Int($0) } ?? 0)
      }
    }
  }

  /// Moves a slot with its keys, one key at a time.
  func move(_ slot: Int, from source: RedisServer, to target: RedisServer) async throws {
    let migration = migration(of: [slot], from: source, to: target)
    try migration.begin()
    while try migration.moveKeys(atMost: 1) > 0 { await Task.yield() }
    try migration.finish()
  }
}

extension RedisServer {
  /// The number of replies of the server with this error code.
  func errors(_ code: String) throws -> Int {
    try info("errorstats")["errorstat_\(code)"]?.split(separator: "=").last.flatMap { Int($0) } ?? 0
  }

  /// The ids of shared connections, such as those of the load.
  var clientConnections: [String] {
    get throws {
      let lines = try command("CLIENT", "LIST", "TYPE", "normal").text?.split(separator: "\n") ?? []
      // The connection on the Unix socket sends this command.
      return lines.filter { $0.contains("resp=3") }.compactMap { $0.split(separator: " ").first.map(String.init) }
    }
  }
}
