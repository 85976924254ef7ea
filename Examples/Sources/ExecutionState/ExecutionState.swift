import Logging
import ParallaxAPI
import ParallaxHA
import ParallaxState

#if Redis
import ParallaxRedis
import ParallaxRedisStores
#endif

/// The ownership of an execution, and the writes that the store refuses: `swift run ExecutionState` in memory, and `swift run --traits
/// Redis ExecutionState redis://127.0.0.1` on Redis.
///
/// Two node sessions share a store. Alice creates and starts an execution. Bob, who considers Alice lost, claims the execution, which
/// raises its epoch. The store refuses Alice's later write, and Bob ends the execution.
@main struct ExecutionState {
  static func main() async throws {
    guard let url = CommandLine.arguments.dropFirst().first else {
      return try await run(on: InMemoryStateStore())
    }
    #if Redis
    let logger = Logger(label: "execution-state")
    let client = try RedisClient(configuration: RedisConfiguration(url: url), scripts: RedisStateStore.scripts, logger: logger)
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { try await client.run() }
      try await run(on: RedisStateStore(client: client, keys: KeySpace(prefix: "execution-state:"), logger: logger))
      group.cancelAll()
    }
    #else
    print("build with Redis: swift run --traits Redis ExecutionState \(url)")
    #endif
  }

  static func run(on store: any StateStore) async throws {
    let alice = NodeSession.starting(nodeID: "alice")
    let bob = NodeSession.starting(nodeID: "bob")
    let pattern = PatternDefinition(name: "greeting", agents: AgentRequirement(capabilities: ["greeting"]))

    // A session is opened before it owns anything, because recovery reads the list of open sessions.
    try await store.open(alice)
    let id = makeID()
    let new = Execution(
      id: id, pattern: pattern, input: ["name": "Ada"], createdAt: .now, deadline: .now + .seconds(60), owner: alice)
    print("alice creates \(id): \(try await store.create(StoredExecution(execution: new, tasks: [])))")

    var start = ExecutionChange(id: id, owner: alice, epoch: 1, revision: 2)
    start.status = .running
    start.startedAt = .now
    start.tasks = [TaskRecord(id: "task_1", agentID: "agent_1", slot: 0)]
    print("alice starts it: \(try await store.update(start))")
    // A repeat after a lost reply succeeds.
    print("alice repeats that: \(try await store.update(start))")

    guard let claimed = try await store.claim(id, from: alice, isGone: true, to: bob) else {
      return print("there was nothing to claim")
    }
    print("bob claims it: epoch \(claimed.execution.epoch), \(claimed.tasks.count) task")

    var late = ExecutionChange(id: id, owner: alice, epoch: 1, revision: 3)
    late.status = .failed
    print("alice, who was only paused, writes: \(try await store.update(late))")

    var end = ExecutionChange(id: id, owner: bob, epoch: claimed.execution.epoch, revision: claimed.execution.revision + 1)
    end.status = .completed
    end.completedAt = .now
    end.result = ["greeting": "Hello, Ada"]
    print("bob ends it: \(try await store.update(end))")
    try await store.release(id, owner: bob)
    for (session, generation) in try await store.sessions() where session == alice {
      try await store.close(session, generation: generation)
    }

    let page = try await store.executions(ExecutionQuery(pattern: "greeting", limit: 1))
    for stored in page.executions { print("listed: \(stored.execution.id), \(stored.execution.status)") }
  }

  private static func makeID() -> String {
    var generator = SystemRandomNumberGenerator()
    return SortableID.make(prefix: "exec", at: .now, using: &generator)
  }
}
