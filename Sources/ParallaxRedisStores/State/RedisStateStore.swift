public import Logging
public import ParallaxAPI
public import ParallaxHA
public import ParallaxRedis
public import ParallaxState
import Synchronization

/// Keeps executions, agents, patterns and node sessions in Redis, in the keys of ``KeySpace``.
///
/// The hash of an execution or agent is authoritative, and one script over one slot changes it. Its index entries are written before the
/// hash and removed after it, so a crash leaves at worst an entry without a hash. The client must run, with ``scripts`` passed to its
/// initializer.
public final class RedisStateStore: StateStore {
  /// The scripts to load on every new connection.
  public static let scripts: [RedisScript] = ExecutionScripts.all + AgentScripts.all + NodeScripts.all + IndexScripts.all

  /// The format of the hashes that this version writes, and the newest one that it reads.
  static let formatVersion = 1

  /// The number of commands in one pipeline.
  static let pipelineLength = 256

  let keys: KeySpace
  let logger: Logger
  let definitions = DefinitionCache()
  let registeredBuckets = BucketRegistrations()
  private let client: RedisClient
  private let condition: WriteCondition?

  /// Makes a store.
  ///
  /// - Parameters:
  ///   - client: A client of the cluster's server and database.
  ///   - keys: The names of the keys.
  ///   - logger: The logger of unreadable records that a list omits.
  public convenience init(client: RedisClient, keys: KeySpace, logger: Logger) {
    self.init(client: client, keys: keys, condition: nil, logger: logger)
  }

  /// Makes a store that reports refused writes to `condition`.
  package init(client: RedisClient, keys: KeySpace, condition: WriteCondition?, logger: Logger) {
    self.client = client
    self.condition = condition
    self.keys = keys
    self.logger = logger
  }

  // MARK: Idempotency keys

  /// Claims an idempotency key for `lifetime`, at least 1 ms; the key expires by the server's clock.
  public func claimIdempotencyKey(
    _ key: String, executionID: String, digest: String, lifetime: Duration
  ) async throws -> IdempotencyClaim {
    let value = try StoredValue.text(IdempotencyRecord(digest: digest, executionId: executionID), "idempotency key")
    let milliseconds = max(1, lifetime.wholeMilliseconds)
    let reply = try await send(RedisCommand("SET", keys.idempotency(key), value, "NX", "GET", "PX", milliseconds))
    guard let former = reply.string else { return .claimed }
    let record: IdempotencyRecord = try StoredValue.decode(former, "idempotency key")
    if record.executionId == executionID { return .claimed }
    // A removed execution leaves a tombstone, which has its end and no version.
    let fields =
      try await send(
        RedisCommand("HMGET", keys.execution(record.executionId), "version", "status", "completedAt")
      ).array?.map(\.string) ?? []
    if fields.count == 3, fields[0] == nil, let status = fields[1].flatMap({ ExecutionStatus(rawValue: $0) }),
      let completedAt = fields[2].flatMap({ Timestamp($0) })
    {
      return .removed(executionID: record.executionId, digest: record.digest, status: status, completedAt: completedAt)
    }
    return .existing(executionID: record.executionId, digest: record.digest)
  }

  /// Restores a lost claim of an idempotency key, over a later one.
  public func restoreIdempotencyKey(_ key: String, executionID: String, digest: String, lifetime: Duration) async throws {
    let value = try StoredValue.text(IdempotencyRecord(digest: digest, executionId: executionID), "idempotency key")
    _ = try await send(RedisCommand("SET", keys.idempotency(key), value, "PX", max(1, lifetime.wholeMilliseconds)))
  }

  private struct IdempotencyRecord: Codable {
    var digest: String
    var executionId: String
  }

  // MARK: Time

  /// The time of the server's clock.
  public func currentTime() async throws -> Timestamp {
    let reply = try await send(RedisCommand("TIME"))
    let parts = reply.array?.compactMap(\.int) ?? []
    guard parts.count == 2 else { throw StateStoreError.unexpected(reply, of: "the reading of the time") }
    return Timestamp(milliseconds: Int64(parts[0]) * 1_000 + Int64(parts[1]) / 1_000)
  }

  // MARK: Patterns

  /// Stores a pattern; true if its version did not exist.
  public func store(_ pattern: PatternDefinition) async throws -> Bool {
    let definition = try StoredValue.text(pattern, "pattern \(pattern.name)")
    let replies = try await pipeline(
      [RedisCommand("SADD", keys.patterns, pattern.name)],
      then: RedisCommand("HSET", keys.pattern(pattern.name), pattern.version, definition))
    return replies[1].int == 1
  }

  /// All versions of a pattern.
  public func versions(ofPattern name: String) async throws -> [PatternDefinition] {
    let reply = try await send(RedisCommand("HVALS", keys.pattern(name)))
    return try reply.strings.map { try StoredValue.decode($0, "pattern \(name)") }
  }

  /// The names of all patterns, sorted.
  public func patternNames() async throws -> [String] {
    try await send(RedisCommand("SMEMBERS", keys.patterns)).strings.sorted()
  }

  // MARK: Node sessions

  /// Opens a session: adds it to the list, or raises its generation.
  @discardableResult
  public func open(_ session: NodeSession) async throws -> Bool {
    try await send(.evaluate(NodeScripts.open, keys: [keys.nodes], arguments: [RedisArgument(session.description)])).int == 1
  }

  /// All open sessions, each with its generation.
  public func sessions() async throws -> [NodeSession: Int64] {
    let fields = try await send(RedisCommand("HGETALL", keys.nodes)).map ?? [:]
    return fields.reduce(into: [:]) { sessions, field in
      if let session = NodeSession(field.key), let generation = field.value.string.flatMap({ Int64($0) }) { sessions[session] = generation }
    }
  }

  /// Removes a session from the list if its generation is still the given one.
  public func close(_ session: NodeSession, generation: Int64) async throws {
    _ = try await send(
      .evaluate(
        NodeScripts.close, keys: [keys.nodes], arguments: [RedisArgument(session.description), RedisArgument(generation)]))
  }
}

// MARK: Commands

extension RedisStateStore {
  /// Sends a command, which may be repeated, as may all commands of the store.
  func send(_ command: RedisCommand) async throws -> RESPValue {
    do {
      return try await client.send(command.idempotent)
    } catch let error as RedisError {
      condition?.failed(error, forKey: command.firstKey)
      throw StateStoreError(error)
    }
  }

  /// Sends repeatable commands in one write; throws if one of them failed.
  func pipeline(_ commands: [RedisCommand]) async throws -> [RESPValue] {
    do {
      let results = try await client.pipeline(commands.map(\.idempotent))
      for (command, result) in zip(commands, results) {
        if case .failure(let error) = result { condition?.failed(error, forKey: command.firstKey) }
      }
      return try results.map { try $0.get() }
    } catch let error as RedisError {
      throw StateStoreError(error)
    }
  }

  /// Sends `last` after `first` has been executed: in one write where servers execute in order.
  func pipeline(_ first: [RedisCommand], then last: RedisCommand) async throws -> [RESPValue] {
    if client.keepsPipelineOrder { return try await pipeline(first + [last]) }
    return try await pipeline(first) + [send(last)]
  }

  /// Adds an id to a session's list, also at a server with full memory.
  func listing(_ id: String, in list: String) -> RedisCommand {
    .evaluate(IndexScripts.list, keys: [list], arguments: [RedisArgument(id)])
  }

  /// Sends any number of commands, in pipelines of bounded length.
  func pipelines(_ commands: [RedisCommand]) async throws -> [RESPValue] {
    var replies: [RESPValue] = []
    replies.reserveCapacity(commands.count)
    var start = 0
    while start < commands.count {
      let end = min(start + Self.pipelineLength, commands.count)
      replies += try await pipeline(Array(commands[start..<end]))
      start = end
    }
    return replies
  }
}

extension StateStoreError {
  /// The errors of a server that recovers by itself.
  private static let passingServerErrors: Set<String> = [
    "LOADING", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "BUSY",
  ]

  init(_ error: RedisError) {
    if let reason = error.writeRefusal {
      self.init(.unwritable, "the store refuses writes: \(reason)", cause: error)
      return
    }
    switch error.code {
    case .serverError where !Self.passingServerErrors.contains(error.serverCode ?? ""), .authenticationFailed:
      self.init(.refused, "Redis refused the command: \(error.serverMessage ?? error.message)", cause: error)
    case .invalidConfiguration, .connectionRequired:
      self.init(.refused, "the Redis client refused the command: \(error.message)", cause: error)
    default:
      self.init(.unavailable, "Redis did not answer: \(error.message)", cause: error)
    }
  }

  static func unreadable(_ what: String) -> StateStoreError {
    StateStoreError(
      .unreadable,
      "\(what) was stored in a format newer than \(RedisStateStore.formatVersion): update this node to the version of the other nodes")
  }

  static func unexpected(_ reply: RESPValue, of what: String) -> StateStoreError {
    StateStoreError(.unreadable, "\(what) got an unexpected answer from Redis: \(reply.string ?? "no text")")
  }
}

extension RESPValue {
  /// The texts of a collection's elements.
  var strings: [String] { array?.compactMap(\.string) ?? [] }

  /// The members and scores of a WITHSCORES reply, which is flat in RESP2 and nested in RESP3.
  var scoredMembers: [(member: String, score: Int64)] {
    guard let array else { return [] }
    if case .array = array.first {
      return array.compactMap { pair in
        guard let pair = pair.array, pair.count == 2, let member = pair[0].string, let score = pair[1].double else { return nil }
        return (member, Int64(score))
      }
    }
    return stride(from: 0, to: array.count - 1, by: 2).compactMap { index in
      guard let member = array[index].string, let score = array[index + 1].double else { return nil }
      return (member, Int64(score))
    }
  }
}
