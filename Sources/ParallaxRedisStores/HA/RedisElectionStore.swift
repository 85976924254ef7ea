public import ParallaxHA
public import ParallaxRedis

/// Keeps the election record in one string of Redis, as JSON that operators can read, without a TTL: no clock of the server's counts.
///
/// ```swift
/// let client = try RedisClient(configuration: .init(url: "redis://127.0.0.1"), scripts: RedisElectionStore.scripts, logger: logger)
/// let election = LeaderElection(store: RedisElectionStore(client: client, key: "reports:leader"), nodeID: "worker-1")
/// ```
///
/// The client is the caller's to run, beside the election and for longer than it. Calls throw `RedisError` as it comes from the client, and
/// then their outcome is unknown. Each election needs a key of its own; the channel of the same name carries its hints. It works on one key
/// alone, so any Redis will do; one that replicates asynchronously can lose a write that it has acknowledged, see `requiredReplicas`.
public struct RedisElectionStore: ElectionStore {
  /// The scripts that the client has to be given when it is made, for it to load them on every new connection.
  public static let scripts: [RedisScript] = ElectionScripts.all

  private let client: RedisClient
  private let key: String
  private let requiredReplicas: Int
  private let replicaTimeout: Duration

  /// Makes a store.
  ///
  /// - Parameters:
  ///   - client: A client of the right server and database, made with ``scripts``.
  ///   - key: Where the record is kept.
  ///   - requiredReplicas: How many replicas have to acknowledge a write before it counts; none by default. Fewer make its outcome unknown.
  ///   - replicaTimeout: How long to wait for them, 1 s by default; well below the election's `callTimeout`.
  public init(client: RedisClient, key: String, requiredReplicas: Int = 0, replicaTimeout: Duration = .seconds(1)) {
    self.client = client
    self.key = key
    self.requiredReplicas = requiredReplicas
    self.replicaTimeout = replicaTimeout
  }

  /// Makes a store under the daemon's key, ``KeySpace/prefix`` and `ha:leader`.
  ///
  /// - Parameters:
  ///   - client: A client of the right server and database, made with ``scripts``.
  ///   - keys: The names of the keys.
  ///   - requiredReplicas: How many replicas have to acknowledge a write before it counts; none by default.
  ///   - replicaTimeout: How long to wait for them, 1 s by default.
  public init(client: RedisClient, keys: KeySpace, requiredReplicas: Int = 0, replicaTimeout: Duration = .seconds(1)) {
    self.init(client: client, key: keys.leader, requiredReplicas: requiredReplicas, replicaTimeout: replicaTimeout)
  }

  /// Reads the record.
  ///
  /// - Returns: The record and its version, or `nil` if there is none.
  /// - Throws: `ElectionError` with `unreadableRecord` if what is stored cannot be decoded; `RedisError` if Redis did not answer.
  public func read() async throws -> ElectionSnapshot? {
    do {
      return try Self.snapshot(of: try await client.send(RedisCommand("GET", key).idempotent))
    } catch let error as RedisError {
      throw readable(error)
    }
  }

  /// Writes a record if the stored bytes are still the expected ones, and publishes it.
  ///
  /// - Parameters:
  ///   - record: The new record.
  ///   - expecting: The version that it replaces; `nil` if there must be none.
  /// - Returns: The new version, or what is stored instead of the expected version.
  /// - Throws: `ElectionError` with `unreadableRecord` if what is stored cannot be decoded; any other error if the outcome is unknown.
  public func compareAndSet(_ record: ElectionRecord, expecting: ElectionVersion?) async throws -> CompareAndSetResult {
    let bytes = try record.encoded()
    // Not idempotent: a repeat of a write that was executed would find its own bytes and look like a conflict.
    let command = RedisCommand.evaluate(
      ElectionScripts.compareAndSet, keys: [key], arguments: [RedisArgument(expecting?.bytes ?? []), RedisArgument(bytes)])
    let reply: RESPValue
    do {
      reply = requiredReplicas > 0 ? try await sendAndWait(command) : try await client.send(command)
    } catch let error as RedisError {
      throw readable(error)
    }
    let parts = reply.array ?? []
    switch parts.first?.string {
    case "written": return .written(ElectionVersion(bytes))
    case "conflict": return .conflict(try parts.count > 1 ? Self.snapshot(of: parts[1]) : nil)
    default: throw ElectionError(.storeUnavailable, "Redis gave an unexpected answer to the write of \(key)")
    }
  }

  /// The record as it is published, and as it reads when messages may have been missed.
  public func changes() -> AsyncCompactMapSequence<RedisSubscription, ElectionSnapshot> {
    client.subscribe(to: [key]).compactMap { event in
      switch event {
      case .message(_, let payload): try? Self.snapshot(of: .bulkString(payload))
      case .subscribed, .gap: try? await read()
      case .refused: nil
      }
    }
  }

  /// WAIT speaks of the writes of its own connection, so both need one to themselves.
  private func sendAndWait(_ command: RedisCommand) async throws -> RESPValue {
    let (milliseconds, timeout) = (replicaTimeout.milliseconds, replicaTimeout + .seconds(1))
    let (reply, replicas) = try await client.withConnection(forKey: key) { connection in
      let reply = try await connection.send(command)
      guard reply.array?.first?.string == "written" else { return (reply, Int.max) }
      var wait = RedisCommand("WAIT", requiredReplicas, milliseconds)
      wait.timeout = timeout
      return (reply, try await connection.send(wait).int ?? 0)
    }
    guard replicas >= requiredReplicas else {
      throw ElectionError(
        .storeUnavailable,
        "\(replicas) of \(requiredReplicas) required replicas have the write of \(key), so it may be lost; see the replicas")
    }
    return reply
  }

  private static func snapshot(of value: RESPValue) throws(ElectionError) -> ElectionSnapshot? {
    guard let text = value.string else { return nil }
    let bytes = Array(text.utf8)
    return ElectionSnapshot(record: try ElectionRecord(decoding: bytes), version: ElectionVersion(bytes))
  }

  /// A key of another type holds no record that may be written over.
  private func readable(_ error: RedisError) -> any Error {
    guard error.serverCode == "WRONGTYPE" else { return error }
    return ElectionError(.unreadableRecord, "\(key) holds something else than a string; see what wrote it", cause: error)
  }
}

extension Duration {
  fileprivate var milliseconds: Int {
    Int(components.seconds) * 1_000 + Int(components.attoseconds / 1_000_000_000_000_000)
  }
}
