import Foundation
import ParallaxHA
import ParallaxRedis
import ParallaxRedisStores
import ParallaxTesting
import TestSupport
import Testing

@Suite(.serialized, .timeLimit(.minutes(1))) struct RedisMembershipStoreTests {
  private static let instant = Date(timeIntervalSince1970: 1_768_473_000.007)

  private static func record(_ nodeID: String, _ sequence: Int64 = 1, incarnation: String = "00000000000000a1") -> MemberRecord {
    MemberRecord(
      session: NodeSession(nodeID: nodeID, incarnation: incarnation), address: "10.0.0.1:8080", sequence: sequence,
      report: MemberReport(role: .leader, term: 7, executions: 3, agents: 2), startedAt: instant, lastHeartbeat: instant, version: "0.1.0")
  }

  /// Starts a server and a store on it.
  private func withMembers<Value: Sendable>(
    _ change: (inout RedisConfiguration) -> Void = { _ in },
    _ body: @Sendable (RedisMembershipStore, RedisClient, RedisServer) async throws -> Value
  ) async throws -> Value {
    let keys = try KeySpace()
    return try await withServerAndClient(scripts: RedisMembershipStore.scripts, change) { server, client in
      try await body(RedisMembershipStore(client: client, keys: keys), client, server)
    }
  }

  @Test("The Redis store keeps the rules", arguments: MembershipStoreConformance.checks)
  func conforms(to check: MembershipStoreConformance.Check) async throws {
    try await withMembers { store, _, _ in try await check.run { store } }
  }

  @Test func aMemberIsOneFieldOfReadableJSON() async throws {
    try await withMembers { store, client, _ in
      _ = try await store.write(Self.record("parallax-control-plane-0"), replacing: nil)
      let hash = try await client.send(RedisCommand("HGETALL", "parallax:ha:members")).map?.compactMapValues(\.string)
      #expect(
        hash == [
          "parallax-control-plane-0":
            #"{"address":"10.0.0.1:8080","agents":2,"checkInterval":5000,"executions":3,"format":1,"health":"healthy","#
            + #""id":"parallax-control-plane-0","incarnation":"00000000000000a1","lastHeartbeat":"2026-01-15T10:30:00.007Z","#
            + #""role":"leader","sequence":1,"startedAt":"2026-01-15T10:30:00.007Z","term":7,"version":"0.1.0"}"#
        ])
      #expect(try await client.send(RedisCommand("TTL", "parallax:ha:members")).int == -1)
    }
  }

  @Test func anUnreadableFieldHidesNoOther() async throws {
    try await withMembers { store, client, _ in
      _ = try await store.write(Self.record("a"), replacing: nil)
      let newer = #"{"format":2,"id":"b","incarnation":"1"}"#
      let text = try #require(try await client.send(RedisCommand("HGET", "parallax:ha:members", "a")).string)
      _ = try await client.send(
        RedisCommand("HSET", "parallax:ha:members", "b", newer, "c", "nonsense", "d", text, "e", "", "f", "[1]"))
      let snapshot = try await store.members()
      #expect(snapshot.records == [Self.record("a")])
      #expect(snapshot.unreadable.keys.sorted() == ["b", "c", "d", "e", "f"])
      #expect(snapshot.unreadable["b"]?.contains("newer") == true)
      #expect(snapshot.unreadable["d"]?.contains("\"a\"") == true)
    }
  }

  @Test(arguments: ["nonsense", "[1]", "{}", #"{"incarnation":7}"#, #"{"incarnation":"other"}"#])
  func anUnreadableOwnFieldIsNotOverwritten(field: String) async throws {
    try await withMembers { store, client, _ in
      _ = try await client.send(RedisCommand("HSET", "parallax:ha:members", "a", field))
      let error = await #expect(throws: MembershipError.self) { try await store.write(Self.record("a"), replacing: "x") }
      #expect(error?.code == .unreadable)
      #expect(error?.message.contains("HDEL parallax:ha:members a") == true)
      try await store.remove(Self.record("a").session)
      #expect(try await client.send(RedisCommand("HGET", "parallax:ha:members", "a")).string == field)
    }
  }

  @Test func aStoppedServerIsAnError() async throws {
    try await withMembers { store, client, server in
      #expect(try await store.members().records == [])
      try await withImpatientClient(after: client, of: server) { client async throws in
        let store = RedisMembershipStore(client: client, keys: try KeySpace())
        await #expect(throws: RedisError.self) { try await store.members() }
        await #expect(throws: RedisError.self) { try await store.write(Self.record("a"), replacing: nil) }
      }
    }
  }

  /// Each node has a clock of its own that the test moves, so that no node is silent because the machine is busy.
  @Test func nodesSeeEachOtherThroughAServer() async throws {
    try await withMembers { store, client, _ in
      let settings = try MembershipSettings(checkInterval: .milliseconds(500), timeout: .seconds(5))
      let clock = ManualClock()
      let nodes = [("a", clock), ("b", ManualClock())].map { id, clock in
        Membership(
          store: store, session: .starting(nodeID: id), address: "\(id):8080", version: "0.1.0", settings: settings,
          clock: clock, logger: quietLogger, report: { MemberReport() })
      }
      var events = nodes[0].events().makeAsyncIterator()
      try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask { try await nodes[0].run() }
        try await withThrowingTaskGroup(of: Void.self) { second in
          second.addTask { try await nodes[1].run() }
          try await eventually("both are known") { await nodes[0].refreshedView().members.map(\.id) == ["a", "b"] }
          #expect(await events.next()?.description == "joined b")
          second.cancelAll()
        }
        // Silence is judged at reads, so the time moves in steps.
        for _ in 0..<20 where nodes[0].view["b"]?.isAlive == true {
          try await clock.sleepers()
          clock.advance(by: settings.checkInterval)
          _ = await nodes[0].refreshedView()
        }
        #expect(await events.next()?.description == "becameUnhealthy b")
        _ = try await client.send(RedisCommand("FLUSHALL"))
        // The next heartbeat writes the node's own field again.
        try await eventually("the field is gone") {
          clock.advance(by: settings.checkInterval)
          return await nodes[0].refreshedView().members.map(\.id) == ["a"]
        }
        #expect(await events.next()?.description == "left b")
        #expect(nodes[0].view["a"]?.status == .healthy)
        group.cancelAll()
      }
    }
  }
}

extension MembershipEvent {
  /// The kind of an event and its member.
  fileprivate var description: String {
    switch self {
    case .joined(let member): "joined \(member.id)"
    case .left(let member): "left \(member.id)"
    case .becameUnhealthy(let member): "becameUnhealthy \(member.id)"
    default: "\(self)"
    }
  }
}
