import ParallaxAPI
import ParallaxHA
import ParallaxRedis
import ParallaxRedisStores
import ParallaxState
import TestSupport

/// A store on a separate server, with a view of the server's data.
struct StoreUnderTest: Sendable {
  let store: RedisStateStore
  let client: RedisClient
  let keys: KeySpace
  let server: RedisServer

  /// A hash with its values as text.
  func hash(_ key: String) async throws -> [String: String] {
    try await client.send(RedisCommand("HGETALL", key)).map?.compactMapValues(\.string) ?? [:]
  }

  func setMembers(_ key: String) async throws -> Set<String> {
    Set(try await client.send(RedisCommand("SMEMBERS", key)).array?.compactMap(\.string) ?? [])
  }

  /// All keys of the database, sorted.
  func allKeys() async throws -> [String] {
    try await client.send(RedisCommand("KEYS", "*")).array?.compactMap(\.string).sorted() ?? []
  }

  /// The number of calls of each command since `resetCounts()`, including those of scripts.
  func counts() async throws -> [String: Int] {
    let text = try await client.send(RedisCommand("INFO", "commandstats")).string ?? ""
    var counts: [String: Int] = [:]
    for line in text.split(whereSeparator: \.isNewline) where line.hasPrefix("cmdstat_") {
      let parts = line.dropFirst("cmdstat_".count).split(separator: ":")
      let calls = parts.last?.split(separator: ",").first?.split(separator: "=").last
      counts[String(parts[0])] = calls.flatMap { Int($0) }
    }
    return counts
  }

  func resetCounts() async throws {
    _ = try await client.send(RedisCommand("CONFIG", "RESETSTAT"))
  }
}

/// Starts a server and a store on it.
func withStore<Value: Sendable>(
  _ options: RedisServer.Options = .init(), prefix: String = KeySpace.defaultPrefix,
  _ change: (inout RedisConfiguration) -> Void = { _ in }, _ body: @Sendable (StoreUnderTest) async throws -> Value
) async throws -> Value {
  let keys = try KeySpace(prefix: prefix)
  return try await withServerAndClient(options, scripts: RedisStateStore.scripts, change) { server, client in
    let store = RedisStateStore(client: client, keys: keys, logger: quietLogger)
    return try await body(StoreUnderTest(store: store, client: client, keys: keys, server: server))
  }
}

enum Sample {
  static let session = NodeSession(nodeID: "parallax-control-plane-0", incarnation: "00000000000000a1")
  static let other = NodeSession(nodeID: "parallax-control-plane-1", incarnation: "00000000000000b1")

  /// 2026-01-15T10:30:00.250Z.
  static let instant = Timestamp(milliseconds: 1_768_473_000_250)

  static func execution(
    _ id: String = "exec_abc123", status: ExecutionStatus = .pending, createdAt: Timestamp = instant, owner: NodeSession = session,
    tasks: [TaskRecord] = []
  ) -> StoredExecution {
    let pattern = PatternDefinition(name: "content-classifier", agents: AgentRequirement(capabilities: ["classification"]))
    let execution = Execution(
      id: id, pattern: pattern, status: status, input: ["text": "hello"], createdAt: createdAt, deadline: createdAt + .seconds(30),
      owner: owner)
    return StoredExecution(execution: execution, tasks: tasks)
  }

  static func change(_ stored: StoredExecution, revision: Int64, status: ExecutionStatus) -> ExecutionChange {
    var change = ExecutionChange(
      id: stored.execution.id, owner: stored.execution.owner, epoch: stored.execution.epoch, revision: revision)
    change.status = status
    if status == .running { change.startedAt = instant }
    if status == .completed { change.completedAt = instant + .seconds(1) }
    return change
  }
}

/// The code of the `StateStoreError` that a body throws, or nil.
func storeErrorCode(_ body: () async throws -> some Any) async throws -> StateStoreError.Code? {
  do {
    _ = try await body()
    return nil
  } catch let error as StateStoreError {
    return error.code
  }
}
