import Logging
import NIOCore
import NIOEmbedded
import ParallaxConcurrency
import Testing

@testable import ParallaxRedis

@Suite("The nodes of a cluster")
struct ClusterRouterTests {
  private static let a = RedisConfiguration.Endpoint.host("a", port: 1)
  private static let b = RedisConfiguration.Endpoint.host("b", port: 1)
  private static let new = RedisConfiguration.Endpoint.host("new", port: 1)

  private let loop = EmbeddedEventLoop()
  private let router: ClusterRouter

  init() {
    let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    let connector = RedisConnector(
      configuration: RedisConfiguration(deployment: .cluster(nodes: [Self.a])), eventLoop: loop,
      executor: RedisEventLoopExecutor(eventLoop: loop), metrics: RedisMetrics(), clock: MonotonicClock(ContinuousClock()),
      newConnections: Broadcast(), logger: logger)
    router = ClusterRouter(seeds: [Self.a], connector: connector, scripts: KnownScripts([]), logger: logger)
  }

  private func receive(_ owners: [(ClosedRange<Int>, RedisConfiguration.Endpoint)], epoch: Int64 = 1) {
    var map = ClusterMap()
    for (slots, master) in owners { map.assign(slots, to: master) }
    #expect(router.received([.init(map: map, epoch: epoch)]))
  }

  private static func redirection(_ kind: String, slot: Int, to host: String) -> Redirection? { Redirection("\(kind) \(slot) \(host):1") }

  @Test("A node that leaves the map ends, and returns as a new one")
  func leaving() throws {
    receive([(0...99, Self.a), (100...16_383, Self.b)])
    let former = try #require(router.node(ofSlot: 0))
    receive([(0...16_383, Self.b)])
    #expect(former.hasEnded)
    #expect(router.node(ofSlot: 0) === router.node(ofSlot: 100))
    router.learn(try #require(Self.redirection("MOVED", slot: 0, to: "a")), from: Self.b)
    let latter = try #require(router.node(ofSlot: 0))
    #expect(latter !== former && !latter.hasEnded)
  }

  @Test("A server outside the map is kept while commands are redirected to it, and not forever")
  func askedServer() throws {
    receive([(0...16_383, Self.a)])
    let ask = try #require(Self.redirection("ASK", slot: 0, to: "new"))
    let node = try #require(router.follow(ask, from: Self.a))
    loop.advanceTime(by: .seconds(9))
    receive([(0...16_383, Self.a)])
    #expect(router.follow(ask, from: Self.a) === node)
    loop.advanceTime(by: .seconds(9))
    receive([(0...16_383, Self.a)])
    #expect(!node.hasEnded)
    loop.advanceTime(by: .seconds(2))
    receive([(0...16_383, Self.a)])
    #expect(node.hasEnded)
    #expect(router.node(ofSlot: 0)?.hasEnded == false)
  }

  @Test("A redirection without an address goes to the only other server without a host name; of several, MOVED waits for the map")
  func unnamedServers() throws {
    let c = RedisConfiguration.Endpoint.host("c", port: 1)
    func receive(unnamed: [RedisConfiguration.Endpoint], epoch: Int64) {
      var map = ClusterMap()
      map.assign(0...99, to: Self.a)
      map.assign(100...199, to: Self.b)
      map.assign(200...16_383, to: c)
      for server in unnamed { map.add(unnamed: server) }
      #expect(router.received([.init(map: map, epoch: epoch)]))
    }
    receive(unnamed: [Self.a, Self.b, .host("d", port: 2)], epoch: 1)
    let (a, b) = (try #require(router.node(ofSlot: 0)), try #require(router.node(ofSlot: 100)))
    router.learn(try #require(Self.redirection("MOVED", slot: 1, to: "?")), from: Self.a)
    #expect(router.node(ofSlot: 1) === b)
    #expect(router.follow(try #require(Self.redirection("ASK", slot: 2, to: "?")), from: Self.a) === b)

    receive(unnamed: [Self.a, Self.b, c], epoch: 2)
    router.learn(try #require(Self.redirection("MOVED", slot: 1, to: "?")), from: Self.a)
    #expect(router.node(ofSlot: 1) === a)
    let ask = try #require(Self.redirection("ASK", slot: 2, to: "?"))
    let asked = Set((0..<100).compactMap { _ in router.follow(ask, from: Self.a).map(ObjectIdentifier.init) })
    #expect(asked == [ObjectIdentifier(b), ObjectIdentifier(try #require(router.node(ofSlot: 200)))])

    receive(unnamed: [Self.a], epoch: 3)
    #expect(router.follow(ask, from: Self.a) == nil)
  }

  @Test("A lease that learns of a migrating slot makes no connection for it")
  func lease() throws {
    receive([(0...16_383, Self.a)])
    router.learn(try #require(Self.redirection("ASK", slot: 0, to: "new")), from: Self.a)
    #expect(router.sources.others == [Self.a])
  }

  @Test("A known map is kept when no server reports one")
  func failedRefresh() {
    let refusal = RedisError(.authenticationFailed, message: "no")
    router.refreshFailed(refusal)
    #expect(router.status.lastError == refusal)
    receive([(0...16_383, Self.a)])
    router.refreshFailed(refusal)
    #expect(router.map.current != nil)
  }
}
