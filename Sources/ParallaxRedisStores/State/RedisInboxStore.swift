public import Logging
import ParallaxAPI
import ParallaxConcurrency
public import ParallaxHA
public import ParallaxRedis
public import ParallaxState

/// Keeps each inbox in a Redis stream with a consumer group.
///
/// The length of the stream is the number of unhandled messages. A receiver waits for messages on a connection of its own, so that it does
/// not delay other commands. The client must run, with ``scripts`` passed to its initializer.
public final class RedisInboxStore: InboxStore {
  /// The scripts to load on every new connection.
  public static let scripts: [RedisScript] = InboxScripts.all

  private let client: RedisClient
  private let keys: KeySpace
  private let capacity: Int
  private let condition: WriteCondition?
  private let clock: MonotonicClock
  private let logger: Logger

  /// The shortest duration of a blocking read without messages.
  private static let shortestWait: Duration = .milliseconds(100)

  /// Makes a store.
  ///
  /// - Parameters:
  ///   - client: A client of the cluster's server and database.
  ///   - keys: The names of the keys.
  ///   - capacity: The number of messages that an inbox holds; 100,000 by default.
  ///   - clock: The clock of a receiver's pauses.
  ///   - logger: The logger of a receiver's outages, each of which is logged once.
  public convenience init(
    client: RedisClient, keys: KeySpace, capacity: Int = 100_000, clock: any Clock<Duration> = ContinuousClock(), logger: Logger
  ) {
    self.init(client: client, keys: keys, capacity: capacity, condition: nil, clock: MonotonicClock(clock), logger: logger)
  }

  /// Makes a store that reports refused writes to `condition`.
  init(
    client: RedisClient, keys: KeySpace, capacity: Int = 100_000, condition: WriteCondition?, clock: MonotonicClock, logger: Logger
  ) {
    self.client = client
    self.clock = clock
    self.condition = condition
    self.keys = keys
    self.capacity = capacity
    self.logger = logger
  }

  /// Adds messages to a session's inbox, all or none; false if the inbox has no room for all.
  public func send(_ messages: [NodeMessage], to session: NodeSession) async throws -> Bool {
    guard !messages.isEmpty else { return true }
    let areSmall = !messages.contains { if case .deliver = $0 { true } else { false } }
    var arguments = [
      RedisArgument(capacity), RedisArgument(InboxScripts.unclaimedLifetime.wholeMilliseconds), RedisArgument(areSmall ? 1 : 0),
    ]
    for message in messages { arguments.append(RedisArgument(try StoredValue.bytes(message, "a message to \(session)"))) }
    do {
      let reply = try await client.evaluate(InboxScripts.send, keys: [keys.inbox(of: session)], arguments: arguments, idempotent: true)
      return reply.int == 1
    } catch let error as RedisError {
      condition?.failed(error, forKey: keys.inbox(of: session))
      throw StateStoreError(error)
    }
  }

  /// Delivers an inbox's messages until the task is cancelled; waits out an outage of Redis.
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
          logger.warning("cannot read the inbox; trying again", metadata: ["session": "\(session)", "error": "\(error)"])
        }
        try await clock.sleep(for: pause)
        continue
      }
      throw failure
    }
  }

  /// Receives on one connection; throws an error that makes the connection useless, and returns an error of `handle`.
  private func receive(
    on connection: RedisLeasedConnection, _ reading: inout InboxReading,
    _ handle: @Sendable ([ReceivedNodeMessage]) async throws -> Void
  ) async throws -> any Error {
    try reading.opened(try await connection.pipeline(reading.opening))
    var pace = Pace(clock: clock)
    while true {
      let mayWait = reading.readsNew
      pace.begin()
      let messages = try reading.received(try await connection.pipeline(reading.next))
      guard !messages.isEmpty else {
        // A server or a proxy that answers a blocking read at once would make the loop spin.
        if mayWait { try await pace.rest(atLeast: Self.shortestWait) }
        continue
      }
      do {
        try await handle(messages)
      } catch {
        return error
      }
      reading.didHandle(messages)
    }
  }

  /// Removes an inbox and its messages.
  public func removeInbox(of session: NodeSession) async throws {
    do {
      _ = try await client.send(RedisCommand("UNLINK", keys.inbox(of: session)).idempotent)
    } catch let error as RedisError {
      throw StateStoreError(error)
    }
  }
}
