import NIOCore
import Testing

@testable import ParallaxRedis

@Suite("Maps of a cluster")
struct ClusterMapTests {
  private static let source = RedisConfiguration.Endpoint.host("seed", port: 7_000)

  private static func text(_ string: String) -> RESPValue { .bulkString(ByteBuffer(string: string)) }

  private static func node(_ host: String?, _ port: Int, _ role: String, health: String = "online", tls: Int? = nil) -> RESPValue {
    var fields: [RESPValue] = [text("id"), text("x"), text("port"), .integer(Int64(port))]
    if let tls { fields += [text("tls-port"), .integer(Int64(tls))] }
    fields += [text("endpoint"), host.map(text) ?? .null, text("role"), text(role), text("health"), text(health)]
    return .map(fields)
  }

  private static func shard(_ slots: [Int], _ nodes: [RESPValue]) -> RESPValue {
    .map([text("slots"), .array(slots.map { .integer(Int64($0)) }), text("nodes"), .array(nodes)])
  }

  private static func host(_ name: String, _ port: Int) -> RedisConfiguration.Endpoint { .host(name, port: port) }

  @Test("CLUSTER SHARDS: masters, their ranges of slots, replicas")
  func shards() throws {
    let reply = RESPValue.array([
      Self.shard([0, 99, 200, 299], [Self.node("a", 1, "replica"), Self.node("b", 2, "master")]),
      Self.shard([100, 199], [Self.node("c", 3, "master", health: "fail")]),
      Self.shard([300, 399], [Self.node("f", 6, "master", health: "fail"), Self.node("g", 7, "master")]),
      Self.shard([], [Self.node("d", 4, "master", health: "fail")]), Self.shard([], [Self.node("e", 5, "master")]),
    ])
    let map = try ClusterMap(shards: reply, from: Self.source, usesTLS: false)
    #expect(map.masters == [Self.host("b", 2), Self.host("c", 3), Self.host("g", 7), Self.host("e", 5)])
    #expect(map.replicas == [Self.host("a", 1)])
    #expect([0, 99, 100, 199, 299, 300, 400].map { map.master(of: $0)?.description } == ["b:2", "b:2", "c:3", "c:3", "b:2", "g:7", nil])
    #expect(map.owningMasters == [Self.host("b", 2), Self.host("c", 3), Self.host("g", 7)])
    #expect(map.coveredSlots == 400)
  }

  @Test("A server without a host has the one that was reached, one without any address is left out, and TLS has its own port")
  func endpoints() throws {
    let nodes = [Self.node(nil, 1, "master", tls: 11), Self.node("", 2, "replica", tls: 12), Self.node("?", 3, "replica", tls: 13)]
    let map = try ClusterMap(shards: .array([Self.shard([0, 1], nodes)]), from: Self.source, usesTLS: true)
    #expect(map.masters == [Self.host("seed", 11)])
    #expect(map.replicas == [Self.host("seed", 12)])
    let plain = try ClusterMap(shards: .array([Self.shard([0, 1], [Self.node("a", 1, "master")])]), from: Self.source, usesTLS: true)
    #expect(plain.masters.isEmpty)
  }

  @Test("The address replaces a missing host name")
  func addresses() throws {
    let unnamed = RESPValue.map([
      Self.text("port"), .integer(1), Self.text("ip"), Self.text("10.0.0.1"), Self.text("endpoint"), Self.text("?"), Self.text("role"),
      Self.text("master"), Self.text("health"), Self.text("online"),
    ])
    let shards = try ClusterMap(shards: .array([Self.shard([0, 1], [unnamed])]), from: Self.source, usesTLS: false)
    #expect(shards.masters == [Self.host("10.0.0.1", 1)])
    let server = RESPValue.array([
      Self.text("?"), .integer(1), Self.text("id"), .array([Self.text("ip"), Self.text("10.0.0.2")]),
    ])
    let slots = try ClusterMap(slots: .array([.array([.integer(0), .integer(1), server])]), from: Self.source)
    #expect(slots.masters == [Self.host("10.0.0.2", 1)])
  }

  /// The replies to CLUSTER SHARDS and CLUSTER SLOTS of a cluster whose servers each have half of the slots.
  private static func replies(
    _ servers: [(id: String, host: String?, address: String, port: Int)]
  ) -> (shards: RESPValue, slots: RESPValue) {
    let halves = [[0, 8_191], [8_192, 16_383]]
    let shards = zip(halves, servers).map { slots, server in
      shard(
        slots,
        [
          .map([
            text("id"), text(server.id), text("port"), .integer(Int64(server.port)), text("ip"), text(server.address), text("endpoint"),
            server.host.map(text) ?? .null, text("role"), text("master"), text("health"), text("online"),
          ])
        ])
    }
    let slots = zip(halves, servers).map { slots, server in
      RESPValue.array(
        slots.map { .integer(Int64($0)) } + [
          .array([
            server.host.map(text) ?? .null, .integer(Int64(server.port)), text(server.id), .array([text("ip"), text(server.address)]),
          ])
        ])
    }
    return (.array(shards), .array(slots))
  }

  @Test("A server that nobody has met has neither a host name nor an address, and is the one that replied")
  func unmet() throws {
    let replies = Self.replies([("a", "?", "", 7_000), ("b", "?", "10.0.0.2", 7_000)])
    for map in [
      try ClusterMap(shards: replies.shards, from: Self.source, usesTLS: false), try ClusterMap(slots: replies.slots, from: Self.source),
    ] {
      #expect(map.masters == [Self.host("seed", 7_000), Self.host("10.0.0.2", 7_000)])
      #expect(map.unnamed == map.masters)
      #expect(map.coveredSlots == 16_384)
    }
  }

  @Test("Servers without a host and with different ports share the host that was reached")
  func sharedHost() throws {
    let replies = Self.replies([("a", nil, "10.0.0.1", 7_000), ("b", nil, "10.0.0.2", 7_001)])
    for map in [
      try ClusterMap(shards: replies.shards, from: Self.source, usesTLS: false), try ClusterMap(slots: replies.slots, from: Self.source),
    ] {
      #expect(map.masters == [Self.host("seed", 7_000), Self.host("seed", 7_001)])
      #expect(map.unnamed.isEmpty)
    }
  }

  @Test(
    "An owner of slots whose address is not told is named, with the settings that tell it",
    arguments: [
      ([("a", "a.example", "10.0.0.1", 7_001), ("b", "?", "", 7_001)], "the server b, port 7001"),
      ([("a", nil, "10.0.0.1", 7_000), ("b", nil, "10.0.0.2", 7_000)], "the servers a and b by their common port 7000"),
    ] as [([(id: String, host: String?, address: String, port: Int)], String)])
  func unknownOwner(servers: [(id: String, host: String?, address: String, port: Int)], named: String) throws {
    let replies = Self.replies(servers)
    for error in [
      #expect(throws: RedisError.self) { try ClusterMap(shards: replies.shards, from: Self.source, usesTLS: false) },
      #expect(throws: RedisError.self) { try ClusterMap(slots: replies.slots, from: Self.source) },
    ] {
      let error = try #require(error)
      #expect(error.code == .invalidConfiguration)
      for text in ["seed:7000", named, "cluster-preferred-endpoint-type", "cluster-announce-hostname"] {
        #expect(error.message.contains(text), "\(error)")
      }
    }
  }

  @Test("CLUSTER SLOTS: the first server of a range is its master")
  func slots() throws {
    func server(_ host: String, _ port: Int) -> RESPValue { .array([Self.text(host), .integer(Int64(port)), Self.text("id")]) }
    let reply = RESPValue.array([
      .array([.integer(0), .integer(8_191), server("a", 1), server("b", 2)]), .array([.integer(8_192), .integer(16_383), server("", 3)]),
    ])
    let map = try ClusterMap(slots: reply, from: Self.source)
    #expect(map.masters == [Self.host("a", 1), Self.host("seed", 3)])
    #expect(map.replicas == [Self.host("b", 2)])
    #expect(map.coveredSlots == 16_384)
  }

  @Test(
    "A reply of another form is refused, not trapped on",
    arguments: [
      RESPValue.integer(1), .array([.integer(1)]), .array([.map([])]),
      .array([shard([0], [node("a", 1, "master")])]), .array([shard([0, 16_384], [node("a", 1, "master")])]),
      .array([shard([0, 1], [node("a", 1, "master"), node("b", 2, "master")])]), .array([shard([5, 1], [node("a", 1, "master")])]),
      .array([shard([-1, 1], [node("a", 1, "master")])]),
    ])
  func malformed(reply: RESPValue) {
    #expect(throws: RedisError.self) { try ClusterMap(shards: reply, from: Self.source, usesTLS: false) }
    #expect(throws: RedisError.self) { try ClusterMap(slots: reply, from: Self.source) }
  }

  // MARK: The view

  private static func report(_ epoch: Int64, _ master: String, slots: ClosedRange<Int> = 0...16_383) -> ClusterView.Report {
    var map = ClusterMap()
    map.assign(slots, to: host(master, 1))
    return .init(map: map, epoch: epoch)
  }

  private static func take(_ reports: [ClusterView.Report], at now: Duration, _ view: inout ClusterView) -> Bool {
    view.received(reports, now: now)
  }

  @Test("Of several reports the one with the greatest epoch is valid, and of equal ones the one that covers more slots")
  func greatestEpoch() {
    var view = ClusterView()
    #expect(
      Self.take([Self.report(1, "a"), Self.report(3, "c", slots: 0...5), Self.report(3, "d"), Self.report(2, "b")], at: .zero, &view)
        == true)
    #expect(view.map?.master(of: 0) == Self.host("d", 1))
  }

  @Test("An isolated server does not restore the former masters, unless no server contradicts it for a long time")
  func outdatedReport() {
    var view = ClusterView()
    #expect(Self.take([Self.report(5, "new")], at: .zero, &view) == true)
    #expect(Self.take([Self.report(4, "old")], at: .seconds(9), &view) == false)
    #expect(view.map?.master(of: 0) == Self.host("new", 1))
    #expect(Self.take([Self.report(5, "new")], at: .seconds(9), &view) == true)
    #expect(Self.take([Self.report(1, "old")], at: .seconds(18), &view) == false)
    #expect(Self.take([Self.report(1, "afresh")], at: .seconds(19), &view) == true)
    #expect(view.map?.master(of: 0) == Self.host("afresh", 1))
  }

  @Test("A server without slots does not clear the map")
  func emptyReport() {
    var view = ClusterView()
    #expect(Self.take([.init(map: ClusterMap(), epoch: 9)], at: .zero, &view) == false)
    #expect(Self.take([Self.report(1, "a")], at: .zero, &view) == true)
    #expect(Self.take([.init(map: ClusterMap(), epoch: 9)], at: .zero, &view) == false)
    #expect(view.map?.master(of: 7) == Self.host("a", 1))
  }

  @Test("The map of a server that cannot serve is used only if no server can, and its epoch never counts")
  func cutOffReplica() {
    var view = ClusterView()
    #expect(Self.take([Self.report(5, "a")], at: .zero, &view) == true)
    var cutOff = Self.report(9, "b")
    cutOff.isServing = false
    #expect(Self.take([cutOff, Self.report(5, "a")], at: .zero, &view) == true)
    #expect(view.map?.master(of: 0) == Self.host("a", 1))
    #expect(Self.take([cutOff], at: .zero, &view) == true)
    #expect(view.map?.master(of: 0) == Self.host("b", 1))
    #expect(Self.take([Self.report(5, "a")], at: .zero, &view) == true)
    #expect(view.map?.master(of: 0) == Self.host("a", 1))
  }

  @Test("MOVED changes one slot at once")
  func moved() {
    var view = ClusterView()
    #expect(Self.take([Self.report(1, "a")], at: .zero, &view) == true)
    view.moved(7, to: Self.host("b", 1))
    #expect(view.map?.master(of: 7) == Self.host("b", 1))
    #expect(view.map?.master(of: 8) == Self.host("a", 1))
    for slot in HashSlot.all { view.moved(slot, to: Self.host("b", 1)) }
    #expect(view.map?.owningMasters == [Self.host("b", 1)])
    #expect(view.map?.coveredSlots == HashSlot.count)
  }

  @Test("The epoch and whether the cluster serves are found in CLUSTER INFO")
  func info() {
    let report = ClusterView.Report(
      map: ClusterMap(), info: "cluster_state:ok\r\ncluster_current_epoch:12\r\ncluster_my_epoch:3\r\n")
    #expect(report == .init(map: ClusterMap(), epoch: 12, isServing: true))
    #expect(ClusterView.Report(map: ClusterMap(), info: "cluster_state:fail\r\n") == .init(map: ClusterMap(), epoch: 0, isServing: false))
    #expect(ClusterView.Report(map: ClusterMap(), info: "") == .init(map: ClusterMap(), epoch: 0, isServing: true))
  }

  // MARK: Redirections

  @Test("Redirections are read with hosts of all kinds, and without one")
  func redirections() {
    func targets(_ message: String) -> [RedisConfiguration.Endpoint]? { Redirection(message)?.targets(from: Self.source, in: nil) }
    #expect(targets("MOVED 3999 127.0.0.1:6381") == [Self.host("127.0.0.1", 6_381)])
    #expect(targets("ASK 1 ::1:6381") == [Self.host("::1", 6_381)])
    #expect(targets("MOVED 1 :6381") == [Self.host("seed", 6_381)])
    #expect(targets("MOVED 1 ?:6381") == [])
    #expect(Redirection("ASK 1 a:1")?.kind == .ask)
    for text in ["MOVED", "MOVED 1", "MOVED 16384 a:1", "MOVED x a:1", "MOVED 1 a", "MOVED 1 a:0", "MOVED 1 a:70000", "ERR 1 a:1"] {
      #expect(Redirection(text) == nil, "\(text)")
    }
  }
}
