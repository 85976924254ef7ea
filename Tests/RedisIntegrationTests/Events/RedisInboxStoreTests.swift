import ParallaxHA
import ParallaxRedis
import ParallaxRedisStores
import ParallaxState
import ParallaxTesting
import TestSupport
import Testing

@Suite(.serialized, .timeLimit(.minutes(1))) struct RedisInboxStoreTests {
  private static let session = InboxesUnderTest.session
  private static let first = NodeMessage.cancel(execution: "exec_1")
  private static let second = NodeMessage.cancel(execution: "exec_2")

  @Test("The inboxes in Redis keep the rules", arguments: InboxConformance.checks, [[], ["--rename-command", "HELLO", ""]])
  func conforms(to check: InboxConformance.Check, arguments: [String]) async throws {
    try await withServerAndClient(.init(arguments: arguments), scripts: RedisInboxStore.scripts) { _, client in
      let keys = try KeySpace()
      try await check.run { RedisInboxStore(client: client, keys: keys, capacity: $0, logger: quietLogger) }
    }
  }

  @Test func theStreamHoldsOnlyUnhandledMessages() async throws {
    try await withInboxes { test in
      #expect(test.key == "parallax:node:node-1:00000000000000a1:inbox")
      #expect(try await test.store.send([Self.first, Self.second], to: Self.session))
      let entry = try await test.client.send(RedisCommand("XRANGE", test.key, "-", "+", "COUNT", 1)).array?.first?.array
      #expect(entry?.last?.map?.mapValues(\.string) == ["message": #"{"execution":"exec_1","type":"cancel","version":1}"#])
      #expect(try await test.length() == 2)
      try await test.receiving { batches in
        #expect(await batches.next()?.count == 2)
        try await eventually("the handled messages are out") { try await test.length() == 0 }
      }
      let pending = try await test.client.send(RedisCommand("XPENDING", test.key, "node")).array?.first
      #expect(pending?.int == 0)
    }
  }

  @Test func anInboxThatNeverHadAReceiverExpires() async throws {
    try await withInboxes { test in
      #expect(try await test.store.send([Self.first], to: Self.session))
      let lifetime = try #require(try await test.client.send(RedisCommand("PTTL", test.key)).int)
      #expect((3_590_000...3_600_000).contains(lifetime))
      try await test.receiving { batches in _ = await batches.next() }
      #expect(try await test.client.send(RedisCommand("PTTL", test.key)).int == -1)
      #expect(try await test.store.send([Self.second], to: Self.session))
      #expect(try await test.client.send(RedisCommand("PTTL", test.key)).int == -1)
    }
  }

  @Test func aReceiverWaitsOnADedicatedConnection() async throws {
    try await withInboxes { test in
      try await test.receiving { batches in
        let connection = try await eventualValue("a receiver waits") { try await test.waitingConnection() }
        for _ in 1...3 {
          #expect(try await test.store.send([Self.first], to: Self.session))
          #expect(await batches.next()?.count == 1)
          #expect(try await eventualValue("it waits again") { try await test.waitingConnection() } == connection)
        }
      }
      try await eventually("nobody waits any more") { try await test.waitingConnection() == nil }
    }
  }

  @Test func aLostConnectionIsReplacedWithoutALossOfMessages() async throws {
    try await withInboxes { test in
      try await test.receiving { batches in
        for number in 1...3 {
          let connection = try await eventualValue("a receiver waits") { try await test.waitingConnection() }
          #expect(try await test.client.send(RedisCommand("CLIENT", "KILL", "ID", connection)).int == 1)
          let message = NodeMessage.cancel(execution: "exec_\(number)")
          #expect(try await test.store.send([message], to: Self.session))
          #expect(await batches.next()?.map(\.message) == [message])
        }
      }
    }
  }

  @Test func aReceiverContinuesAfterItsServerLostAllData() async throws {
    try await withServerAndClient(scripts: RedisInboxStore.scripts) { server, client in
      let keys = try KeySpace()
      let test = InboxesUnderTest(
        store: RedisInboxStore(client: client, keys: keys, logger: quietLogger), client: client, key: keys.inbox(of: Self.session))
      try await test.receiving { batches in
        #expect(try await test.store.send([Self.first], to: Self.session))
        #expect(await batches.next()?.map(\.message) == [Self.first])
        try await server.restart()
        #expect(try await test.store.send([Self.second], to: Self.session))
        #expect(await batches.next()?.map(\.message) == [Self.second])
      }
    }
  }

  @Test func unhandledMessagesAreDeliveredFirstToTheNextProcess() async throws {
    try await withInboxes { test in
      #expect(try await test.store.send([Self.first, Self.second], to: Self.session))
      for command in [
        RedisCommand("XGROUP", "CREATE", test.key, "node", "0"),
        RedisCommand("XREADGROUP", "GROUP", "node", "node", "COUNT", 1, "STREAMS", test.key, ">"),
      ] { _ = try await test.client.send(command) }
      try await test.receiving { batches in
        #expect(await batches.next()?.map(\.message) == [Self.first])
        #expect(await batches.next()?.map(\.message) == [Self.second])
      }
    }
  }

  @Test func unreadableMessagesAreReportedAndRemoved() async throws {
    try await withInboxes { test in
      let newer = #"{"execution":"exec_1","type":"cancel","version":2}"#
      for (field, value) in [("message", newer), ("message", "\u{0}{"), ("other", "")] {
        _ = try await test.client.send(RedisCommand("XADD", test.key, "*", field, value))
      }
      #expect(try await test.store.send([Self.first], to: Self.session))
      try await test.receiving { batches in
        #expect(await batches.next()?.map(\.message) == [nil, nil, nil, Self.first])
        try await eventually("all are out") { try await test.length() == 0 }
      }
    }
  }

  @Test func aDeletedEntryDoesNotBlockOthers() async throws {
    try await withInboxes { test in
      #expect(try await test.store.send([Self.first, Self.second], to: Self.session))
      struct Trouble: Error {}
      await #expect(throws: Trouble.self) {
        try await test.store.receive(at: Self.session, limit: 9) { batch in
          _ = try await test.client.send(RedisCommand("XDEL", test.key, batch[0].position))
          throw Trouble()
        }
      }
      try await test.receiving { batches async throws in
        #expect(await batches.next()?.map(\.message) == [nil, Self.second])
        #expect(try await test.store.send([Self.first], to: Self.session))
        #expect(await batches.next()?.map(\.message) == [Self.first])
      }
    }
  }

  @Test func aKeyOfAnotherTypeIsRefused() async throws {
    try await withInboxes { test in
      _ = try await test.client.send(RedisCommand("SET", test.key, "x"))
      #expect(try await storeErrorCode { try await test.store.send([Self.first], to: Self.session) } == .refused)
    }
  }

  @Test func aStoppedServerIsUnavailable() async throws {
    try await withServerAndClient { server, client in
      let keys = try KeySpace()
      #expect(try await RedisInboxStore(client: client, keys: keys, logger: quietLogger).send([Self.first], to: Self.session))
      try await withImpatientClient(after: client, of: server) { client async throws in
        let store = RedisInboxStore(client: client, keys: keys, logger: quietLogger)
        #expect(try await storeErrorCode { try await store.send([Self.first], to: Self.session) } == .unavailable)
      }
    }
  }
}
