import ParallaxAPI
import ParallaxHA
import ParallaxState

/// The records of the checks.
enum Sample {
  static let alice = NodeSession(nodeID: "node-a", incarnation: "00000000000000a1")
  static let bob = NodeSession(nodeID: "node-b", incarnation: "00000000000000b1")
  /// The session of Alice's node after a restart.
  static let aliceAgain = NodeSession(nodeID: "node-a", incarnation: "00000000000000a2")

  /// 2026-01-15T10:30:00.250Z.
  static let instant = Timestamp(milliseconds: 1_768_473_000_250)

  static func id(at instant: Timestamp = instant) -> String {
    var generator = SystemRandomNumberGenerator()
    return SortableID.make(prefix: "exec", at: instant, using: &generator)
  }

  static func pattern(_ name: String = "classifier", version: String = "1.0.0") -> PatternDefinition {
    PatternDefinition(
      name: name, version: version, description: "Classifies a text.", agents: AgentRequirement(capabilities: ["text"], min: 1, max: 3),
      aggregation: Aggregation(strategy: .voting, method: .weighted, field: "category"), timeout: .seconds(30), retries: 2)
  }

  static func execution(
    id: String? = nil, pattern: String = "classifier", status: ExecutionStatus = .pending, input: JSONValue = ["text": "hello"],
    createdAt: Timestamp = instant, owner: NodeSession = alice, tasks: [TaskRecord] = []
  ) -> StoredExecution {
    let execution = Execution(
      id: id ?? Sample.id(at: createdAt), pattern: Sample.pattern(pattern), status: status, input: input, createdAt: createdAt,
      deadline: createdAt + .seconds(30), owner: owner)
    return StoredExecution(execution: execution, tasks: tasks)
  }

  static func task(_ id: String, slot: Int = 0, attempt: Int = 1, state: TaskRecord.State = .open) -> TaskRecord {
    TaskRecord(id: id, agentID: "agent_\(slot)", slot: slot, attempt: attempt, state: state)
  }

  static func change(of stored: StoredExecution, status: ExecutionStatus? = nil, tasks: [TaskRecord] = []) -> ExecutionChange {
    let execution = stored.execution
    var change = ExecutionChange(
      id: execution.id, owner: execution.owner, epoch: execution.epoch, revision: execution.revision + 1,
      recordings: execution.recordings)
    change.status = status
    change.tasks = tasks
    return change
  }

  static func agent(_ id: String = "agent_1", at session: NodeSession = alice) -> AgentRecord {
    AgentRecord(
      id: id, name: "classifier one", capabilities: ["text", "image"], maxConcurrentTasks: 4, metadata: ["region": "eu"],
      session: session, connectedAt: instant)
  }

  /// One value of every kind, at its limits, and nested.
  static let values: [JSONValue] = [
    nil, true, false, 0, -1, .integer(.max), .integer(.min), 0.1, -1.5e300, .number(.leastNonzeroMagnitude), "", "null",
    "line\nfeed\u{0}\u{1f}\"\\/",
    "äöü ✓ 👩‍👩‍👧‍👦 \u{202e} e\u{301}",
    [], [nil, [nil, []]], [:], ["": "", "a b": ["nested": [1, 2.5, "x", nil, false]], "ünï": [:]],
  ]
}

extension StateStoreConformance {
  /// Stores a new execution.
  static func create(_ stored: StoredExecution, in store: any StateStore) async throws {
    try expect(await store.create(stored), is: .created, "the creation of \(stored.execution.id)")
  }

  /// Applies a change and returns the expected execution.
  static func apply(_ change: ExecutionChange, to stored: StoredExecution, in store: any StateStore) async throws -> StoredExecution {
    try expect(await store.update(change), is: .applied, "the change of \(change.id) to revision \(change.revision)")
    var changed = stored
    changed.apply(change)
    return changed
  }

  /// Compares the stored execution with the expected one.
  static func expectStored(_ stored: StoredExecution, in store: any StateStore, _ when: String) async throws {
    try expect(await store.execution(stored.execution.id), is: stored, "the stored execution \(when)")
  }

  /// Runs an operation several times concurrently.
  static func concurrently<Value: Sendable>(
    _ count: Int, _ operation: @escaping @Sendable (Int) async throws -> Value
  ) async throws -> [Value] {
    try await withThrowingTaskGroup(of: Value.self) { group in
      for number in 0..<count { group.addTask { try await operation(number) } }
      return try await group.reduce(into: []) { $0.append($1) }
    }
  }
}
