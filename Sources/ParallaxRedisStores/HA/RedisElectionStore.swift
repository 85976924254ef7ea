public import ParallaxHA
public import ParallaxRedis

/// Keeps the election record in one Redis string, as JSON that operators can read, without a TTL: the server's clock has no part in the
/// election.
///
/// ```swift
/// let client = try RedisClient(configuration: .init(url: "redis://127.0.0.1"), scripts: RedisElectionStore.scripts, logger: logger)
/// let election = LeaderElection(store: RedisElectionStore(client: client, key: "reports:leader"), nodeID: "worker-1")
/// ```
///
/// The caller runs the client, beside the election and until after it. Calls throw the client's `RedisError`, and the outcome of such a
/// call is unknown; a write that the server refuses throws `ElectionError` with `storeRefusesWrites`.
/// Each election needs a key of its own; the channel of the same name carries its hints. The store uses a single key, so any deployment
/// of Redis suits it; a server that replicates asynchronously can lose an acknowledged write, see `requiredReplicas`.
public struct RedisElectionStore: ElectionStore {
  /// The scripts to pass to the client's initializer; the client loads them on every new connection.
  public static let scripts: [RedisScript] = ElectionScripts.all

  private let client: RedisClient
  private let key: String
  private let requiredReplicas: Int
  private let replicaTimeout: Duration

  /// Makes a store.
  ///
  /// - Parameters:
  ///   - client: A client of the election's server and database, made with ``scripts``.
  ///   - key: The key of the record.
  ///   - requiredReplicas: The number of replicas that must acknowledge a write; 0 by default. With fewer acknowledgements the outcome of
  ///     the write is unknown.
  ///   - replicaTimeout: How long to wait for the replicas; 1 s by default. It must be well below the election's `callTimeout`.
  public init(client: RedisClient, key: String, requiredReplicas: Int = 0, replicaTimeout: Duration = .seconds(1)) {
    self.client = client
    self.key = key
    self.requiredReplicas = requiredReplicas
    self.replicaTimeout = replicaTimeout
  }

  /// Makes a store under the daemon's key, ``KeySpace/prefix`` and `ha:leader`.
  ///
  /// - Parameters:
  ///   - client: A client of the election's server and database, made with ``scripts``.
  ///   - keys: The names of the keys.
  ///   - requiredReplicas: The number of replicas that must acknowledge a write; 0 by default.
  ///   - replicaTimeout: How long to wait for the replicas; 1 s by default.
  public init(client: RedisClient, keys: KeySpace, requiredReplicas: Int = 0, replicaTimeout: Duration = .seconds(1)) {
    self.init(client: client, key: keys.leader, requiredReplicas: requiredReplicas, replicaTimeout: replicaTimeout)
  }

  /// Reads the record.
  ///
  /// - Returns: The record and its version, or `nil` if no record is stored.
  /// - Throws: `ElectionError` with `unreadableRecord` if the stored record cannot be decoded; `RedisError` if Redis did not answer.
  public func read() async throws -> ElectionSnapshot? {
    do {
      return try Self.snapshot(of: try await client.send(RedisCommand("GET", key).idempotent))
    } catch let error as RedisError {
      throw readable(error)
    }
  }

  /// Writes a record if the stored version is the expected one, and publishes the record.
  ///
  /// - Parameters:
  ///   - record: The new record.
  ///   - expecting: The version to replace; `nil` if no record may be stored.
  /// - Returns: The new version, or the stored record if it has another version.
  /// - Throws: `ElectionError` with `unreadableRecord` if the stored record cannot be decoded, with `storeRefusesWrites` if the server
  ///   refuses the write; any other error if the outcome is unknown, as with too few replicas that acknowledge it.
  public func compareAndSet(_ record: ElectionRecord, expecting: ElectionVersion?) async throws -> CompareAndSetResult {
    let bytes = try record.encoded()
    // Not idempotent: a repeat of an executed write would find its own bytes and report a conflict.
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

  /// The published records; after a gap in the subscription, in which messages may be lost, the stored record.
  public func changes() -> AsyncCompactMapSequence<RedisSubscription, ElectionSnapshot> {
    client.subscribe(to: [key]).compactMap { event in
      switch event {
      case .message(_, let payload): try? Self.snapshot(of: .bulkString(payload))
      case .subscribed, .gap: try? await read()
      case .refused: nil
      }
    }
  }

  /// WAIT counts the writes of its own connection, so both commands need a connection of their own.
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
        "\(replicas) of \(requiredReplicas) required replicas acknowledged the write of \(key), so it may be lost; check the replicas")
    }
    return reply
  }

  private static func snapshot(of value: RESPValue) throws(ElectionError) -> ElectionSnapshot? {
    guard let text = value.string else { return nil }
    let bytes = Array(text.utf8)
    return ElectionSnapshot(record: try ElectionRecord(decoding: bytes), version: ElectionVersion(bytes))
  }

  /// A key of another type is no record, and must not be overwritten.
  private func readable(_ error: RedisError) -> any Error {
    if let reason = error.writeRefusal { return ElectionError(.storeRefusesWrites, reason, cause: error) }
    guard error.serverCode == "WRONGTYPE" else { return error }
    return ElectionError(.unreadableRecord, "\(key) is not a string; find its writer", cause: error)
  }
}

extension Duration {
  fileprivate var milliseconds: Int {
    Int(components.seconds) * 1_000 + Int(components.attoseconds / 1_000_000_000_000_000)
  }
}
