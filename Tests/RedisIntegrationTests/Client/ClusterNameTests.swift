import ParallaxRedis
import TestSupport
import Testing

@Suite("Names of a real cluster's servers", .timeLimit(.minutes(1)))
struct ClusterNameTests {
  private static func address(_ index: Int) -> String { "127.0.0.\(index + 1)" }

  /// Runs masters with equal shares of the slots, each at an address of its own and all on one port, as containers are.
  ///
  /// Each has its host name, or none where that is `nil`.
  private static func withMasters(
    _ names: [String?], announcing endpointType: String, _ body: ([RedisServer], RedisConfiguration) async throws -> Void
  ) async throws {
    let masters = try await LoopbackPort.retrying {
      let port = try LoopbackPort.free()
      let masters = try names.enumerated().map { index, name in
        let arguments = [
          "--bind", address(index), "--bind-source-addr", address(index), "--cluster-enabled", "yes",
          "--cluster-preferred-endpoint-type", endpointType,
        ]
        return try RedisServer(.init(arguments: arguments + (name.map { ["--cluster-announce-hostname", $0] } ?? [])), port: port)
      }
      for master in masters { try await master.start() }
      return masters
    }
    defer { for master in masters { master.kill() } }
    for (index, master) in masters.enumerated() {
      let (first, last) = (RedisHashSlot.count * index / masters.count, RedisHashSlot.count * (index + 1) / masters.count - 1)
      try master.withConnection { connection in
        try connection.pipeline(
          [["CLUSTER", "SET-CONFIG-EPOCH", "\(index + 1)"], ["CLUSTER", "ADDSLOTSRANGE", "\(first)", "\(last)"]]
            + masters.indices.dropFirst(index + 1).map { ["CLUSTER", "MEET", address($0), "\(master.port)"] })
      }
    }
    try await eventually("masters that serve all slots", within: .seconds(20)) {
      try masters.allSatisfy { master in
        let info = try master.command("CLUSTER", "INFO").text ?? ""
        return ["cluster_state:ok", "cluster_slots_ok:16384", "cluster_known_nodes:\(masters.count)"].allSatisfy(info.contains)
      }
    }
    var configuration = RedisConfiguration(deployment: .cluster(nodes: [.host(address(0), port: masters[0].port)]))
    configuration.commandTimeout = .seconds(20)
    try await body(masters, configuration)
  }

  @Test("Masters without a host name are found at their addresses, which redirections do not tell")
  func redirections() async throws {
    try await Self.withMasters(["localhost", nil, nil], announcing: "hostname") { masters, configuration async throws in
      let (source, target, other) = (masters[0], masters[1], masters[2])
      let keys = keys("name")
      try await withClient(configuration) { client async throws in
        for key in keys { #expect(try await client.send(RedisCommand("SET", key, "v")).string == "OK") }
        let slot = "\(RedisHashSlot.of(keys[0]))"
        let (from, to) = (try source.command("CLUSTER", "MYID").text ?? "", try target.command("CLUSTER", "MYID").text ?? "")
        try target.command("CLUSTER", "SETSLOT", slot, "IMPORTING", from)
        try source.command("CLUSTER", "SETSLOT", slot, "MIGRATING", to)
        try source.command("MIGRATE", Self.address(1), "\(target.port)", keys[0], "0", "5000")
        for _ in 0..<20 { #expect(try await client.send(RedisCommand("GET", keys[0])).string == "v") }
        let results = try await client.pipeline((0..<20).map { _ in RedisCommand("GET", keys[0]) })
        #expect(try results.map { try $0.get().string } == Array(repeating: "v", count: 20))
        #expect(try source.errors("ASK") > 0)
        for master in [target, source, other] { try master.command("CLUSTER", "SETSLOT", slot, "NODE", to) }
        #expect(try await client.send(RedisCommand("GET", keys[0])).string == "v")
        #expect(try source.errors("MOVED") > 0)
        for key in keys { #expect(try await client.send(RedisCommand("GET", key)).string == "v") }
      }
    }
  }

  @Test("A server that nobody has met serves, without a host name and an address of its own")
  func unmet() async throws {
    try await Self.withMasters([nil], announcing: "hostname") { _, configuration async throws in
      try await withClient(configuration) { client async throws in
        for key in keys("alone") { #expect(try await client.send(RedisCommand("SET", key, "v")).string == "OK") }
      }
    }
  }

  @Test("Masters that are announced by one port alone are refused at once, with the settings")
  func commonPort() async throws {
    try await Self.withMasters([nil, nil], announcing: "unknown-endpoint") { masters, configuration async throws in
      try await withClient(configuration) { client async throws in
        let error = try #require(try await redisError { try await client.send(RedisCommand("GET", "k")) })
        #expect(error.code == .invalidConfiguration)
        for text in ["127.0.0.1:\(masters[0].port)", "common port", "cluster-preferred-endpoint-type"] {
          #expect(error.message.contains(text), "\(error)")
        }
      }
    }
  }
}
