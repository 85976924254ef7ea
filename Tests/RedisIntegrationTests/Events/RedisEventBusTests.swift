import NIOCore
import ParallaxAPI
import ParallaxHA
import ParallaxRedis
import ParallaxRedisStores
import ParallaxState
import ParallaxTesting
import TestSupport
import Testing

@Suite(.serialized, .timeLimit(.minutes(1))) struct RedisEventBusTests {
  private static func event(_ sequence: Int64) -> ClusterEvent {
    ClusterEvent(
      type: "completed", id: "exec_1", session: NodeSession(nodeID: "node-1", incarnation: "a1"),
      timestamp: Timestamp(milliseconds: 1_768_473_000_250), sequence: sequence)
  }

  private func withBus<Value: Sendable>(
    prefix: String = KeySpace.defaultPrefix, _ body: @Sendable (RedisEventBus, RedisServer, RedisClient) async throws -> Value
  ) async throws -> Value {
    let keys = try KeySpace(prefix: prefix)
    return try await withServerAndClient { server, client in
      try await body(RedisEventBus(client: client, keys: keys, logger: quietLogger), server, client)
    }
  }

  @Test("The bus in Redis keeps the rules", arguments: EventBusConformance.checks)
  func conforms(to check: EventBusConformance.Check) async throws {
    try await withBus { bus, _, _ in try await check.run { bus } }
  }

  @Test func anEventReadsAsTheSpecificationShows() async throws {
    try await withBus(prefix: "team:") { bus, _, client in
      var messages = client.subscribe(to: ["team:events:execution"]).makeAsyncIterator()
      #expect(await messages.next() == .subscribed)
      try await bus.publish(Self.event(4), on: .execution)
      guard case .message(_, let payload) = await messages.next() else {
        Issue.record("no message came")
        return
      }
      #expect(
        String(buffer: payload) == #"{"id":"exec_1","incarnation":"a1","nodeId":"node-1","sequence":4,"#
          + #""timestamp":"2026-01-15T10:30:00.250Z","type":"completed"}"#)
    }
  }

  @Test func eventsReachOtherNodes() async throws {
    try await withBus { bus, server, _ in
      try await withClient(server.configuration()) { other in
        var deliveries = RedisEventBus(client: other, keys: try KeySpace(), logger: quietLogger).subscribe(to: [.agent])
          .makeAsyncIterator()
        #expect(await deliveries.next() == .gap)
        try await bus.publish(Self.event(1), on: .agent)
        #expect(await deliveries.next() == .event(Self.event(1), .agent))
      }
    }
  }

  @Test func aLostSubscriptionComesBackWithOneGap() async throws {
    try await withBus { bus, _, client in
      var deliveries = bus.subscribe(to: [.cluster]).makeAsyncIterator()
      #expect(await deliveries.next() == .gap)
      try await bus.publish(Self.event(1), on: .cluster)
      #expect(await deliveries.next() == .event(Self.event(1), .cluster))
      #expect(try await client.send(RedisCommand("CLIENT", "KILL", "TYPE", "pubsub")).int == 1)
      #expect(await deliveries.next() == .gap)
      try await bus.publish(Self.event(5), on: .cluster)
      #expect(await deliveries.next() == .event(Self.event(5), .cluster))
    }
  }

  @Test func unreadableEventsAreSkipped() async throws {
    try await withBus { bus, _, client in
      var deliveries = bus.subscribe(to: [.cluster]).makeAsyncIterator()
      #expect(await deliveries.next() == .gap)
      for text in ["", "{", "[]", #"{"type":"marker"}"#] {
        _ = try await client.send(RedisCommand("PUBLISH", "parallax:events:cluster", text))
      }
      try await bus.publish(Self.event(1), on: .cluster)
      #expect(await deliveries.next() == .event(Self.event(1), .cluster))
    }
  }

  @Test func theServerDropsAChannelWithoutSubscribers() async throws {
    try await withBus { bus, _, client in
      func listeners() async throws -> Int? {
        try await client.send(RedisCommand("PUBSUB", "NUMSUB", "parallax:events:cluster")).map?["parallax:events:cluster"]?.int
      }
      do {
        var deliveries = bus.subscribe(to: [.cluster]).makeAsyncIterator()
        #expect(await deliveries.next() == .gap)
        #expect(try await listeners() == 1)
      }
      try await eventually("nobody listens") { try await listeners() == 0 }
    }
  }
}
