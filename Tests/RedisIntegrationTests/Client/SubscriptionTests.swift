import NIOCore
import ParallaxRedis
import Synchronization
import TestSupport
import Testing

@Suite("Subscriptions on a real server", .timeLimit(.minutes(1)))
struct SubscriptionTests {
  private static func publish(_ client: RedisClient, _ channel: String, _ text: String) async throws {
    _ = try await client.send(RedisCommand("PUBLISH", channel, text))
  }

  @Test("Messages of all channels arrive in order, in RESP3 and in RESP2", arguments: [[], ["--rename-command", "HELLO", ""]])
  func order(arguments: [String]) async throws {
    try await withServerAndClient(.init(arguments: arguments)) { _, client async throws in
      var events = client.subscribe(to: ["a", "b"]).makeAsyncIterator()
      #expect(await events.next() == .subscribed)
      for number in 0..<10 { try await Self.publish(client, number.isMultiple(of: 2) ? "a" : "b", "\(number)") }
      for number in 0..<10 {
        #expect(
          await events.next() == .message(channel: number.isMultiple(of: 2) ? "a" : "b", payload: ByteBuffer(string: "\(number)")))
      }
    }
  }

  @Test("A lost subscription resumes with a gap")
  func gapAfterKill() async throws {
    try await withServerAndClient { _, client async throws in
      var events = client.subscribe(to: ["news"]).makeAsyncIterator()
      #expect(await events.next() == .subscribed)
      #expect(try await client.send(RedisCommand("CLIENT", "KILL", "TYPE", "pubsub")).int == 1)
      #expect(await events.next() == .gap)
      try await Self.publish(client, "news", "after")
      #expect(await events.next() == .message(channel: "news", payload: ByteBuffer(string: "after")))
    }
  }

  @Test("A subscription survives a restart of the server")
  func restart() async throws {
    try await withServerAndClient { server, client async throws in
      var events = client.subscribe(to: ["news"]).makeAsyncIterator()
      #expect(await events.next() == .subscribed)
      try await server.restart()
      #expect(await events.next() == .gap)
      try await Self.publish(client, "news", "after")
      #expect(await events.next() == .message(channel: "news", payload: ByteBuffer(string: "after")))
    }
  }

  @Test("A slow consumer loses the newest messages, receives a gap, and delays no other")
  func slowConsumer() async throws {
    try await withServerAndClient {
      $0.subscriptionBufferSize = 10
    } _: { _, client async throws in
      var slow = client.subscribe(to: ["news"]).makeAsyncIterator()
      var quick = client.subscribe(to: ["news", "end"]).makeAsyncIterator()
      #expect(await slow.next() == .subscribed)
      #expect(await quick.next() == .subscribed)
      for number in 0..<30 {
        try await Self.publish(client, "news", "\(number)")
        #expect(await quick.next() == .message(channel: "news", payload: ByteBuffer(string: "\(number)")))
      }
      // When this has arrived, every subscription has received the earlier messages.
      try await Self.publish(client, "end", "")
      #expect(await quick.next() == .message(channel: "end", payload: ByteBuffer()))
      for number in 0..<10 { #expect(await slow.next() == .message(channel: "news", payload: ByteBuffer(string: "\(number)"))) }
      #expect(await slow.next() == .gap)
      try await Self.publish(client, "news", "last")
      #expect(await slow.next() == .message(channel: "news", payload: ByteBuffer(string: "last")))
    }
  }

  @Test("The client unsubscribes from a channel after its last subscription")
  func unsubscribe() async throws {
    try await withServerAndClient { _, client async throws in
      do {
        var events = client.subscribe(to: ["news"]).makeAsyncIterator()
        #expect(await events.next() == .subscribed)
        #expect(try await client.send(RedisCommand("PUBSUB", "NUMSUB", "news")).map?["news"]?.int == 1)
      }
      try await eventually("nobody listens") {
        try await client.send(RedisCommand("PUBSUB", "NUMSUB", "news")).map?["news"]?.int == 0
      }
    }
  }

  @Test("A subscription ends with its task and with the client")
  func end() async throws {
    let subscription = try await withServerAndClient { _, client async throws in
      let consumer = Task {
        var events = client.subscribe(to: ["news"]).makeAsyncIterator()
        return (await events.next(), await events.next())
      }
      try await eventually("somebody listens") {
        try await client.send(RedisCommand("PUBSUB", "NUMSUB", "news")).map?["news"]?.int == 1
      }
      consumer.cancel()
      #expect(await consumer.value.1 == nil)
      return client.subscribe(to: ["other"])
    }
    var last: RedisSubscriptionEvent?
    for await event in subscription { last = event }
    #expect(last == nil || last == .subscribed)
  }

  @Test(
    "A pattern receives the messages of all matching channels, in RESP3 and in RESP2", arguments: [[], ["--rename-command", "HELLO", ""]])
  func patterns(arguments: [String]) async throws {
    try await withServerAndClient(.init(arguments: arguments)) { _, client async throws in
      var events = client.subscribe(to: ["other"], patterns: ["news.*"]).makeAsyncIterator()
      #expect(await events.next() == .subscribed)
      for channel in ["news.a", "old.a", "other", "news.b"] { try await Self.publish(client, channel, "1") }
      for channel in ["news.a", "other", "news.b"] {
        #expect(await events.next() == .message(channel: channel, payload: ByteBuffer(string: "1")))
      }
    }
  }

  @Test("A forbidden channel is reported, affects no other subscription, and begins when it is allowed")
  func refused() async throws {
    let options = RedisServer.Options(users: ["reader on >secret resetchannels &news +@all ~*"])
    try await withServerAndClient(options) {
      $0.username = "reader"
      $0.password = "secret"
    } _: { server, client async throws in
      var allowed = client.subscribe(to: ["news"]).makeAsyncIterator()
      var forbidden = client.subscribe(to: ["news", "private"]).makeAsyncIterator()
      #expect(await allowed.next() == .subscribed)
      guard case .refused(let error) = await forbidden.next() else {
        Issue.record("a forbidden channel is not reported")
        return
      }
      #expect(error.serverCode == "NOPERM")
      try await Self.publish(client, "news", "1")
      #expect(await allowed.next() == .message(channel: "news", payload: ByteBuffer(string: "1")))
      #expect(await forbidden.next() == .message(channel: "news", payload: ByteBuffer(string: "1")))
      _ = try server.command("ACL", "SETUSER", "reader", "&private")
      #expect(await forbidden.next() == .subscribed)
    }
  }

  @Test("Among a thousand subscriptions one that never reads keeps a bounded number of messages, and the others miss none")
  func slowAmongMany() async throws {
    let messages = 200
    try await withServerAndClient {
      $0.subscriptionBufferSize = 50
    } _: { _, client async throws in
      var slow = client.subscribe(to: ["news"]).makeAsyncIterator()
      #expect(await slow.next() == .subscribed)
      let arrived = Arrivals()
      let others = (0..<999).map { client.subscribe(to: ["news", "own.\($0)"]) }
      try await withThrowingTaskGroup(of: Int.self) { group in
        for subscription in others {
          group.addTask {
            var received = 0
            for await event in subscription where event != .subscribed {
              if event == .gap { return -1 }
              received += 1
              arrived.count.add(1, ordering: .relaxed)
              if received == messages { break }
            }
            return received
          }
        }
        try await eventually("all subscriptions are active") {
          try await client.send(RedisCommand("PUBSUB", "NUMSUB", "own.998")).array?.last?.int == 1
        }
        // No more messages are in transit at a time than the buffers hold.
        for number in 0..<messages {
          try await Self.publish(client, "news", "\(number)")
          guard number % 40 == 39 else { continue }
          try await eventually("all others have read what was published", within: .seconds(30)) {
            arrived.count.load(ordering: .relaxed) == others.count * (number + 1)
          }
        }
        for try await received in group { #expect(received == messages) }
      }
      for number in 0..<50 { #expect(await slow.next() == .message(channel: "news", payload: ByteBuffer(string: "\(number)"))) }
      #expect(await slow.next() == .gap)
    }
  }
}

/// The total number of messages that all consumers have received.
private final class Arrivals: Sendable {
  let count = Atomic(0)
}
