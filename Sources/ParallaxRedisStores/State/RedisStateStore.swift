public import Logging
public import ParallaxAPI
public import ParallaxHA
public import ParallaxRedis
public import ParallaxState
import Synchronization

/// Keeps executions, agents, patterns and node sessions in Redis, in the keys of ``KeySpace``.
///
/// The hash of an execution or agent is the truth and changes by one script over one slot; what lists it is written before it and removed
/// after it, so that a crash leaves at worst an entry that names nothing. The client has to run, with ``scripts`` given to its initializer.
public final class RedisStateStore: StateStore {
  /// The scripts to load on every new connection.
  public static let scripts: [RedisScript] = ExecutionScripts.all + AgentScripts.all + NodeScripts.all

  /// The format of the hashes that this version writes, and the newest that it reads.
  static let formatVersion = 1

  /// How many commands go into one pipeline.
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
  ///   - client: A client of the right server and database.
  ///   - keys: The names of the keys.
  ///   - logger: Where records that cannot be read are reported, when a list has to leave them out.
  public convenience init(client: RedisClient, keys: KeySpace, logger: Logger) {
    self.init(client: client, keys: keys, condition: nil, logger: logger)
  }

  /// Makes a store that tells a condition of writes that the server refuses.
  package init(client: RedisClient, keys: KeySpace, condition: WriteCondition?, logger: Logger) {
    self.client = client
    self.condition = condition
    self.keys = keys
    self.logger = logger
  }

  // MARK: Idempotency keys

  /// Claims an idempotency key for `lifetime`, at least a millisecond; it expires by the server's clock.
  public func claimIdempotencyKey(
    _ key: String, executionID: String, digest: String, lifetime: Duration
  ) async throws -> IdempotencyClaim {
    let value = try StoredValue.text(IdempotencyRecord(digest: digest, executionId: executionID), "idempotency key")
    let milliseconds = max(1, lifetime.wholeMilliseconds)
    let reply = try await send(RedisCommand("SET", keys.idempotency(key), value, "NX", "GET", "PX", milliseconds))
    guard let former = reply.string else { return .claimed }
    let record: IdempotencyRecord = try StoredValue.decode(former, "idempotency key")
    if record.executionId == executionID { return .claimed }
    // A removed execution leaves a tombstone with its end, which has no version.
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

  private struct IdempotencyRecord: Codable {
    var digest: String
    var executionId: String
  }

  // MARK: Time

  /// The time by the clock of Redis.
  public func currentTime() async throws -> Timestamp {
    let reply = try await send(RedisCommand("TIME"))
    let parts = reply.array?.compactMap(\.int) ?? []
    guard parts.count == 2 else { throw StateStoreError.unexpected(reply, of: "the question for the time") }
    return Timestamp(milliseconds: Int64(parts[0]) * 1_000 + Int64(parts[1]) / 1_000)
  }

  // MARK: Patterns

  /// Stores a pattern; true if its version is new.
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

  /// Enters a session on the list, and counts the opening.
  @discardableResult
  public func open(_ session: NodeSession) async throws -> Bool {
    try await send(.evaluate(NodeScripts.open, keys: [keys.nodes], arguments: [RedisArgument(session.description)])).int == 1
  }

  /// All sessions on the list, each with its generation.
  public func sessions() async throws -> [NodeSession: Int64] {
    let fields = try await send(RedisCommand("HGETALL", keys.nodes)).map ?? [:]
    return fields.reduce(into: [:]) { sessions, field in
      if let session = NodeSession(field.key), let generation = field.value.string.flatMap({ Int64($0) }) { sessions[session] = generation }
    }
  }

  /// Takes a session off the list unless it has been opened more often.
  public func close(_ session: NodeSession, generation: Int64) async throws {
    _ = try await send(
      .evaluate(
        NodeScripts.close, keys: [keys.nodes], arguments: [RedisArgument(session.description), RedisArgument(generation)]))
  }
}

// MARK: Commands

extension RedisStateStore {
  /// Sends a command that may be repeated, as all commands of the store may.
  func send(_ command: RedisCommand) async throws -> RESPValue {
    do {
      return try await client.send(command.idempotent)
    } catch let error as RedisError {
      condition?.failed(error, forKey: command.firstKey)
      throw StateStoreError(error)
    }
  }

  /// Sends commands that may be repeated in one write; throws if one of them failed.
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

  /// Sends commands of which the last must not be executed before the others were: in one write where servers keep the order.
  func pipeline(_ first: [RedisCommand], then last: RedisCommand) async throws -> [RESPValue] {
    if client.keepsPipelineOrder { return try await pipeline(first + [last]) }
    return try await pipeline(first) + [send(last)]
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
  /// What a server answers that will serve again by itself.
  private static let passingServerErrors: Set<String> = [
    "LOADING", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "BUSY",
  ]

  /// What a server answers that takes no writes until somebody mends it.
  private static let writeRefusals: Set<String> = ["OOM", "MISCONF", "READONLY", "NOREPLICAS"]

  init(_ error: RedisError) {
    switch error.code {
    case .serverError where Self.writeRefusals.contains(error.serverCode ?? ""):
      self.init(.unwritable, "the store refuses writes: \(error.serverMessage ?? error.message)", cause: error)
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
      "\(what) was stored in a format newer than \(RedisStateStore.formatVersion): update this node to the version of the others")
  }

  static func unexpected(_ reply: RESPValue, of what: String) -> StateStoreError {
    StateStoreError(.unreadable, "\(what) got an unexpected answer from Redis: \(reply.string ?? "no text")")
  }
}

extension RESPValue {
  /// The texts of a collection's elements.
  var strings: [String] { array?.compactMap(\.string) ?? [] }

  /// The members and scores of a reply WITHSCORES, which is flat in RESP2 and nested in RESP3.
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
