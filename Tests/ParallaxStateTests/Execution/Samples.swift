import ParallaxAPI
import ParallaxHA
import ParallaxState

/// Samples for the tests of executions.
enum Sample {
  static let node = NodeSession(nodeID: "node-a", incarnation: "00000000000000a1")
  static let start = Timestamp(milliseconds: 1_768_473_000_000)
  static let failure = ExecutionFailure(code: "BROKEN", message: "it broke")

  static func pattern(
    _ strategy: Aggregation.Strategy = .first, min: Int = 1, max: Int? = nil, retries: Int = 0
  ) -> PatternDefinition {
    PatternDefinition(
      name: "classifier", agents: AgentRequirement(capabilities: ["text"], min: min, max: max),
      aggregation: Aggregation(strategy: strategy), timeout: .seconds(30), retries: retries)
  }

  static func execution(_ pattern: PatternDefinition = pattern()) -> Execution {
    Execution(
      id: "exec_01kf0", pattern: pattern, input: ["text": "hello"], createdAt: start, deadline: start + .seconds(30), owner: node)
  }

  static func task(
    _ slot: Int, agent: String? = nil, attempt: Int = 1, state: TaskRecord.State = .completed, result: JSONValue? = nil,
    confidence: Double? = nil
  ) -> TaskRecord {
    TaskRecord(
      id: "task_\(slot)_\(attempt)", agentID: agent ?? "agent_\(slot)", slot: slot, attempt: attempt, state: state, result: result,
      confidence: confidence)
  }
}

/// An execution's machine with its store; records all other actions.
struct Driven {
  var machine: ExecutionMachine
  private(set) var store: StoredExecution?
  private(set) var pending: StoreCall?
  /// All actions but the writes.
  private(set) var actions: [ExecutionMachine.Action] = []
  var now = Sample.start

  init(_ pattern: PatternDefinition = Sample.pattern()) {
    machine = ExecutionMachine(StoredExecution(execution: Sample.execution(pattern), tasks: []))
  }

  /// Resumes a stored execution.
  init(recovering stored: StoredExecution) {
    store = stored
    machine = ExecutionMachine(stored)
  }

  var status: ExecutionStatus { machine.stored.execution.status }
  var tasks: [TaskRecord] { machine.stored.tasks }
  /// Returns the actions since the last call.
  mutating func takeActions() -> [ExecutionMachine.Action] {
    defer { actions = [] }
    return actions
  }

  /// Creates the execution.
  mutating func create(agents: [String]) {
    let execution = machine.stored.execution
    perform { machine, now in
      let (created, actions) = ExecutionMachine.create(execution, agents: agents, at: now)
      machine = created
      return actions
    }
  }

  mutating func perform(_ event: (inout ExecutionMachine, Timestamp) -> [ExecutionMachine.Action]) {
    for action in event(&machine, now) {
      switch action {
      case .store(let call) where !call.isRead:
        precondition(pending == nil, "two writes at once")
        pending = call
      default: actions.append(action)
      }
    }
  }

  /// Ends the pending write.
  mutating func write(_ outcome: UpdateOutcome = .applied) {
    let ended = pending
    let written = writtenRevision
    pending = nil
    if outcome == .applied {
      switch ended {
      case .create(let stored)?, .restore(let stored, _)?: store = stored
      case .update(let change)?: store?.apply(change)
      default: preconditionFailure("nothing is being written")
      }
    }
    let epoch = machine.stored.execution.epoch
    perform { machine, _ in machine.writeFinished(outcome, epoch: epoch, revision: written) }
  }

  /// The revision of the pending write.
  private var writtenRevision: Int64 {
    switch pending {
    case .create(let stored)?, .restore(let stored, _)?: stored.execution.revision
    case .update(let change)?: change.revision
    default: 0
    }
  }

  /// Ends writes until none is pending.
  mutating func settle() {
    while pending != nil { write() }
  }

  mutating func complete(_ index: Int, result: JSONValue = ["label": "spam"], confidence: Double? = nil) {
    let id = tasks[index].id
    perform { $0.taskCompleted(id, result: result, confidence: confidence, duration: .milliseconds(7), at: $1) }
  }

  mutating func fail(_ index: Int, retryable: Bool = false, error: ExecutionFailure = Sample.failure) {
    let id = tasks[index].id
    perform { $0.taskFailed(id, error: error, retryable: retryable, at: $1) }
  }
}

extension ExecutionMachine.Action {
  /// The name of the action without its payload.
  var name: String {
    switch self {
    case .store(let call): call.name
    case .wantsAgents: "wantsAgents"
    case .wantsAgent(let slot): "wantsAgent \(slot)"
    case .send(let task): "send \(task.agentID)"
    case .acknowledge(let task): "acknowledge \(task.agentID)"
    case .freed(let task): "freed \(task.agentID)"
    case .withdraw(let task, let reason): "withdraw \(task.agentID) \(reason)"
    case .accepted: "accepted"
    case .finished: "finished"
    case .lost(let outcomes, let isBarred): ([isBarred ? "barred" : "lost"] + outcomes.map(\.agentID)).joined(separator: " ")
    }
  }
}

extension StoreCall {
  /// The execution that the call restores; nil for another call.
  var restored: StoredExecution? { if case .restore(let stored, _) = self { stored } else { nil } }

  /// The name of the call without its payload.
  var name: String {
    switch self {
    case .create: "create"
    case .update: "update"
    case .restore: "restore"
    case .read: "read"
    default: "\(self)"
    }
  }

  fileprivate var isRead: Bool { name == "read" }
}

extension Driven {
  /// Returns the names of the actions since the last call.
  mutating func takeNames() -> [String] { takeActions().map(\.name) }
}
