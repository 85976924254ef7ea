import ParallaxHA
import ParallaxRedis
import ParallaxRedisStores
import ParallaxState
import TestSupport

/// The inboxes on a separate server, with a view of the server's data.
struct InboxesUnderTest: Sendable {
  static let session = NodeSession(nodeID: "node-1", incarnation: "00000000000000a1")

  let store: RedisInboxStore
  let client: RedisClient
  let key: String

  func length() async throws -> Int? {
    try await client.send(RedisCommand("XLEN", key)).int
  }

  /// The connection on which a receiver waits for messages; nil while none waits.
  func waitingConnection() async throws -> String? {
    let list = try await client.send(RedisCommand("CLIENT", "LIST")).string ?? ""
    let line = list.split(whereSeparator: \.isNewline).first { $0.contains("cmd=xreadgroup") && $0.contains("flags=b") }
    return line?.split(separator: " ").first { $0.hasPrefix("id=") }.map { String($0.dropFirst("id=".count)) }
  }

  /// Receives during the body, and passes it the received messages.
  func receiving<Value: Sendable>(
    limit: Int = 100, _ body: @Sendable (inout AsyncStream<[ReceivedNodeMessage]>.Iterator) async throws -> Value
  ) async throws -> Value {
    let (batches, continuation) = AsyncStream.makeStream(of: [ReceivedNodeMessage].self)
    return try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask {
        defer { continuation.finish() }
        try await store.receive(at: Self.session, limit: limit) { continuation.yield($0) }
      }
      var iterator = batches.makeAsyncIterator()
      let value = try await body(&iterator)
      group.cancelAll()
      return value
    }
  }
}

/// Starts a server and inboxes on it.
func withInboxes<Value: Sendable>(
  capacity: Int = 100_000, arguments: [String] = [], _ body: @Sendable (InboxesUnderTest) async throws -> Value
) async throws -> Value {
  try await withServerAndClient(.init(arguments: arguments), scripts: RedisInboxStore.scripts) { _, client in
    let keys = try KeySpace()
    let store = RedisInboxStore(client: client, keys: keys, capacity: capacity, logger: quietLogger)
    return try await body(InboxesUnderTest(store: store, client: client, key: keys.inbox(of: InboxesUnderTest.session)))
  }
}
