public import Logging
import ParallaxAPI
public import ParallaxHA
public import ParallaxRedis
public import ParallaxState

/// Keeps inboxes in Redis, each a stream of the receiver's, with a consumer group.
///
/// The length of the stream is the number of messages that are not handled yet. A receiver has a connection of its own, on which it waits
/// for messages without delaying other commands. The client has to run, with ``scripts`` given to its initializer.
public final class RedisInboxStore: InboxStore {
  /// The scripts to load on every new connection.
  public static let scripts: [RedisScript] = [InboxScripts.send]

  private let client: RedisClient
  private let keys: KeySpace
  private let capacity: Int
  private let condition: WriteCondition?
  private let logger: Logger

  /// Makes a store.
  ///
  /// - Parameters:
  ///   - client: A client of the right server and database.
  ///   - keys: The names of the keys.
  ///   - capacity: How many messages an inbox holds; 100,000 by default.
  ///   - logger: Where outages of a receiver are reported, each once.
  public convenience init(client: RedisClient, keys: KeySpace, capacity: Int = 100_000, logger: Logger) {
    self.init(client: client, keys: keys, capacity: capacity, condition: nil, logger: logger)
  }

  /// Makes a store that tells a condition of writes that the server refuses.
  package init(client: RedisClient, keys: KeySpace, capacity: Int = 100_000, condition: WriteCondition?, logger: Logger) {
    self.client = client
    self.condition = condition
    self.keys = keys
    self.capacity = capacity
    self.logger = logger
  }

  /// Puts messages into a session's inbox, all of them or none; false if it has no room.
  public func send(_ messages: [NodeMessage], to session: NodeSession) async throws -> Bool {
    guard !messages.isEmpty else { return true }
    var arguments = [RedisArgument(capacity), RedisArgument(InboxScripts.unclaimedLifetime.wholeMilliseconds)]
    for message in messages { arguments.append(RedisArgument(try StoredValue.text(message, "a message to \(session)"))) }
    do {
      let reply = try await client.evaluate(InboxScripts.send, keys: [keys.inbox(of: session)], arguments: arguments, idempotent: true)
      return reply.int == 1
    } catch let error as RedisError {
      condition?.failed(error, forKey: keys.inbox(of: session))
      throw StateStoreError(error)
    }
  }

  /// Hands out what comes into an inbox until the task is cancelled; an outage of Redis is waited out.
  public func receive(
    at session: NodeSession, limit: Int, _ handle: @Sendable ([ReceivedNodeMessage]) async throws -> Void
  ) async throws {
    var reading = InboxReading(key: keys.inbox(of: session), limit: limit)
    while true {
      let failure: any Error
      do {
        failure = try await client.withConnection(forKey: keys.inbox(of: session)) { connection in
          try await self.receive(on: connection, &reading, handle)
        }
      } catch let error as RedisError {
        let pause = reading.failed(error)
        if reading.failures == 1 {
          logger.warning("the inbox cannot be read; trying again", metadata: ["session": "\(session)", "error": "\(error)"])
        }
        try await Task.sleep(for: pause)
        continue
      }
      throw failure
    }
  }

  /// Receives on one connection; throws what makes the connection useless, and returns what `handle` throws.
  private func receive(
    on connection: RedisLeasedConnection, _ reading: inout InboxReading,
    _ handle: @Sendable ([ReceivedNodeMessage]) async throws -> Void
  ) async throws -> any Error {
    try reading.opened(try await connection.pipeline(reading.opening))
    while true {
      let messages = try reading.received(try await connection.pipeline(reading.next))
      guard !messages.isEmpty else { continue }
      do {
        try await handle(messages)
      } catch {
        return error
      }
      reading.didHandle(messages)
    }
  }

  /// Removes an inbox with what is in it.
  public func removeInbox(of session: NodeSession) async throws {
    do {
      _ = try await client.send(RedisCommand("UNLINK", keys.inbox(of: session)).idempotent)
    } catch let error as RedisError {
      throw StateStoreError(error)
    }
  }
}
