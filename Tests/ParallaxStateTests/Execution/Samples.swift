import ParallaxAPI
import ParallaxHA
import ParallaxState

/// What the tests of executions begin with.
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

/// An execution's machine with the store that it writes to: what it sends, acknowledges and so on is only looked at.
struct Driven {
  var machine: ExecutionMachine
  private(set) var store: StoredExecution?
  private(set) var pending: StoreCall?
  /// Everything that came out, but for the writes.
  private(set) var actions: [ExecutionMachine.Action] = []
  var now = Sample.start

  init(_ pattern: PatternDefinition = Sample.pattern()) {
    machine = ExecutionMachine(StoredExecution(execution: Sample.execution(pattern), tasks: []))
  }

  /// Goes on with what a store holds.
  init(recovering stored: StoredExecution) {
    store = stored
    machine = ExecutionMachine(stored)
  }

  var status: ExecutionStatus { machine.stored.execution.status }
  var tasks: [TaskRecord] { machine.stored.tasks }
  /// What came out since the last look.
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

  /// Ends the write that is on its way.
  mutating func write(_ outcome: UpdateOutcome = .applied) {
    let ended = pending
    let written = writtenRevision
    pending = nil
    if outcome == .applied {
      switch ended {
      case .create(let stored)?, .restore(let stored)?: store = stored
      case .update(let change)?: store?.apply(change)
      default: preconditionFailure("nothing is being written")
      }
    }
    let epoch = machine.stored.execution.epoch
    perform { $0.writeFinished(outcome, epoch: epoch, revision: written, at: $1) }
  }

  /// The revision of the write that is on its way.
  private var writtenRevision: Int64 {
    switch pending {
    case .create(let stored)?, .restore(let stored)?: stored.execution.revision
    case .update(let change)?: change.revision
    default: 0
    }
  }

  /// Ends writes until there is none.
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
  /// The action without what it carries: enough to see what happens in which order.
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
    case .lost(let outcomes): (["lost"] + outcomes.map(\.agentID)).joined(separator: " ")
    }
  }
}

extension StoreCall {
  /// The call without what it carries.
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
  /// The names of what came out since the last look.
  mutating func takeNames() -> [String] { takeActions().map(\.name) }
}
