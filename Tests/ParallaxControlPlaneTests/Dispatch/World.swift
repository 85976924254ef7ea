import ParallaxAPI
import ParallaxControlPlane
import ParallaxHA
import ParallaxState

/// A node's dispatch machine with its environment: a store whose writes end at the request of a test, and agents and callers that record
/// their messages.
///
/// `faults` has every violation of the machine's rules.
struct World {
  /// A pending write.
  enum Write {
    case create(StoredExecution)
    case update(ExecutionChange)
    case restore(StoredExecution, acknowledged: Set<String>)

    var id: String {
      switch self {
      case .create(let stored), .restore(let stored, _): stored.execution.id
      case .update(let change): change.id
      }
    }
  }

  struct Sent: Hashable {
    var agent: String
    var message: ControlPlaneMessage
    var messageID: String?
  }

  struct Ping: Hashable {
    var number: UInt64
    var agent: String
  }

  struct LookUp: Hashable {
    var task: String
    var agent: String
  }

  struct Told: Hashable {
    var message: NodeMessage
    var session: NodeSession
  }

  static let session = NodeSession(nodeID: "node-a", incarnation: "00000000000000a1")
  static let other = NodeSession(nodeID: "node-b", incarnation: "00000000000000b1")
  static let start = Timestamp(milliseconds: 1_768_473_000_000)

  var machine: DispatchMachine
  var now = Moment(instant: .zero, wall: World.start)
  private(set) var store: [String: StoredExecution] = [:]
  /// The state of each execution in the store before its last write.
  private var history: [String: StoredExecution] = [:]
  /// The agent of each task that was ever stored.
  private var storedTasks: [String: String] = [:]
  private(set) var writes: [Write] = []
  private(set) var sent: [Sent] = []
  /// The unanswered pings.
  private(set) var pings: [Ping] = []
  private(set) var resolutions: [WaiterID: Resolution] = [:]
  /// Callers whose execution this node does not drive.
  private(set) var refused: Set<WaiterID> = []
  private(set) var ended: [String: Int] = [:]
  private(set) var released: [String] = []
  private(set) var lookUps: [LookUp] = []
  private(set) var changed: [String] = []
  private(set) var vanished: [String] = []
  private(set) var gone: [String] = []
  private(set) var reads: [String] = []
  private(set) var unlisted: [String] = []
  /// Whether no read is answered.
  var holdsReads = false
  /// Whether a test ends the changes of agents' registrations.
  var holdsChanges = false
  private(set) var changes: [(id: String, change: AgentChange)] = []
  /// Whether a test answers the claims.
  var holdsClaims = false
  private(set) var claims: [(id: String, owner: NodeSession)] = []
  private(set) var checkedAgents: [String] = []
  private(set) var told: [Told] = []
  private(set) var news: [AgentAnnouncement] = []
  private var loads: [String: Int] = [:]
  private(set) var statuses: [String] = []
  private(set) var moved: [String] = []
  private(set) var reconnected: [String] = []
  private(set) var restorations: [RecentWrites] = []
  private(set) var faults: [String] = []
  private var epoch: Int64 = 0
  private var lastWaiter: WaiterID = 0
  private var lastID = 0

  init(_ settings: DispatchMachine.Settings = DispatchMachine.Settings(session: World.session)) {
    machine = DispatchMachine(settings: settings)
  }

  // MARK: Events

  mutating func handle(_ event: DispatchEvent) {
    for action in machine.handle(event, at: now) { note(action) }
  }

  private mutating func note(_ action: DispatchAction) {
    switch action {
    case .store(let call): note(call)
    case .send(let message, let agent, let messageID):
      check(message, to: agent)
      sent.append(Sent(agent: agent, message: message, messageID: messageID))
    case .ping(let number, let agent): pings.append(Ping(number: number, agent: agent))
    case .resolve(let waiter, let resolution?):
      if resolutions.updateValue(resolution, forKey: waiter) != nil { faults.append("waiter \(waiter) was answered twice") }
    case .resolve(let waiter, nil): refused.insert(waiter)
    case .ended(let stored):
      let execution = stored.execution
      ended[execution.id, default: 0] += 1
      if store[execution.id]?.execution != execution { faults.append("\(execution.id) ended otherwise than it is stored") }
    case .tell(let message, let other):
      if case .deliver(let task, let agent, _, _) = message { check(.task(task), to: agent) }
      told.append(Told(message: message, session: other))
    case .publish(.loads(let announced)): loads.merge(announced) { $1 }
    case .publish(let announcement): news.append(announcement)
    case .publishStatus(let execution): statuses.append("\(execution.id) \(execution.status.rawValue)")
    case .agentMoved(let id): moved.append(id)
    case .reconnect(let id): reconnected.append(id)
    case .restore(let recent): restorations.append(recent)
    }
  }

  private mutating func note(_ call: StoreCall) {
    switch call {
    case .create(let stored): begin(.create(stored))
    case .update(let change): begin(.update(change))
    case .restore(let stored, let acknowledged): begin(.restore(stored, acknowledged: acknowledged))
    case .release(let id, _): released.append(id)
    case .record(let outcome, _, _): lookUps.append(LookUp(task: outcome.id, agent: outcome.agentID))
    case .read(let id):
      reads.append(id)
      if !holdsReads { handle(.read(id, store[id])) }
    case .claim(let id, let owner, _) where holdsClaims: claims.append((id, owner))
    case .claim(let id, let owner, let cancels):
      let stored = store[id].flatMap { $0.execution.owner == Self.session && !$0.execution.status.isTerminal ? $0 : nil }
      handle(.claimed(id, from: owner, stored, cancels: cancels))
    case .unlist(let id): unlisted.append(id)
    case .changeAgent(let id, let change):
      if change.isConnected == false { vanished.append(id) } else { changed.append(id) }
      changes.append((id, change))
      if !holdsChanges { handle(.agent(.changeEnded(id))) }
    case .checkAgent(let id): checkedAgents.append(id)
    case .removeAgent(let id, _): gone.append(id)
    }
  }

  private mutating func begin(_ write: Write) {
    if writes.contains(where: { $0.id == write.id }) { faults.append("two writes of \(write.id) at once") }
    writes.append(write)
  }

  private mutating func check(_ message: ControlPlaneMessage, to agent: String) {
    switch message {
    case .task(let task):
      // The other node stores the tasks of its executions.
      guard machine.execution(task.executionId) != nil else { return }
      let stored = storedTasks[task.taskId]
      if stored == nil { faults.append("\(task.taskId) was sent before it was stored") }
      if stored != agent { faults.append("\(task.taskId) was sent to \(agent)") }
      let isOpen = machine.execution(task.executionId)?.tasks.contains { $0.id == task.taskId && $0.state == .open } ?? false
      if isOpen, machine.agent(agent)?.tasks[task.taskId] == nil { faults.append("\(task.taskId) takes up nothing of \(agent)") }
    case .resultAck(let ack):
      let tasks = store[Self.execution(of: ack.taskId)]?.tasks ?? []
      let isStored = tasks.contains { $0.id == ack.taskId && $0.state != .open }
      if !isStored { faults.append("\(ack.taskId) was acknowledged before its outcome was stored") }
    default: break
    }
  }

  // MARK: Store

  /// Ends a write, by default the oldest.
  mutating func endWrite(at index: Int = 0) {
    let write = writes.remove(at: index)
    history[write.id] = store[write.id]
    switch write {
    case .create(let stored):
      let id = stored.execution.id
      let isNew = store[id] == nil
      if isNew { store[id] = stored }
      noteTasks(of: id)
      written(stored, isNew ? .applied : .stale)
    case .update(let change):
      let outcome = apply(change)
      noteTasks(of: change.id)
      handle(.written(change.id, epoch: change.epoch, revision: change.revision, outcome))
    case .restore(let stored, let acknowledged):
      let outcome = restore(stored, acknowledged)
      noteTasks(of: stored.execution.id)
      written(stored, outcome)
    }
  }

  private mutating func written(_ stored: StoredExecution, _ outcome: UpdateOutcome) {
    let execution = stored.execution
    handle(.written(execution.id, epoch: execution.epoch, revision: execution.revision, outcome))
  }

  private mutating func noteTasks(of id: String) {
    for task in store[id]?.tasks ?? [] { storedTasks[task.id] = task.agentID }
  }

  private mutating func restore(_ stored: StoredExecution, _ acknowledged: Set<String>) -> UpdateOutcome {
    let (id, known) = (stored.execution.id, stored.execution)
    if let found = store[id]?.execution {
      let isOwn = found.owner == known.owner && found.epoch == known.epoch
      if isOwn, found.revision == known.revision { return .applied }
      guard found.epoch < known.epoch || isOwn && found.revision < known.revision, !found.status.isTerminal else { return .stale }
      if let present = store[id], stored.lacksTasks(of: present, besides: acknowledged) { return .unread }
    }
    var restored = store[id] ?? stored
    restored.execution = known
    restored.merge(stored.tasks, acknowledged: acknowledged)
    store[id] = restored
    return .applied
  }

  private mutating func apply(_ change: ExecutionChange) -> UpdateOutcome {
    guard let execution = store[change.id]?.execution else { return .missing }
    if execution.epoch < change.epoch, !execution.status.isTerminal { return .behind }
    guard execution.owner == change.owner, execution.epoch == change.epoch else { return .stale }
    if execution.revision + 1 < change.revision, !execution.status.isTerminal { return .behind }
    if execution.recordings > change.recordings { return .unread }
    if execution.status.isTerminal { faults.append("\(change.id) was changed after its end") }
    if change.revision != execution.revision + 1 {
      faults.append("\(change.id) went from revision \(execution.revision) to \(change.revision)")
    }
    store[change.id]?.apply(change)
    return .applied
  }

  /// Ends all writes, including those that follow.
  mutating func settle() {
    while !writes.isEmpty { endWrite() }
  }

  /// Another node claims an execution.
  mutating func steal(_ id: String) {
    store[id]?.execution.owner = Self.other
    store[id]?.execution.epoch += 1
  }

  /// The store gives an execution back to this node, whose reply is lost.
  mutating func regain(_ id: String) {
    store[id]?.execution.owner = Self.session
    store[id]?.execution.epoch += 1
  }

  /// Another node claims an execution and ends it.
  mutating func endElsewhere(_ id: String) {
    steal(id)
    store[id]?.execution.status = .failed
  }

  /// The store loses the last write of an execution, or the execution if it had only one.
  mutating func loseWrites(of id: String) {
    store[id] = history[id]
  }

  /// The store loses an execution.
  mutating func lose(_ id: String) {
    store[id] = nil
  }

  /// The store reports that it may have lost writes.
  mutating func resetStore() {
    handle(.storeReset(connectedAt: nil))
  }

  /// This node claims an execution of another node and continues it.
  mutating func recover(_ id: String) {
    store[id]?.execution.owner = Self.session
    store[id]?.execution.epoch += 1
    guard let stored = store[id] else { return }
    handle(.recovered(stored))
  }

  /// Another node records the outcome of a task: a result, or a retryable error.
  mutating func recordElsewhere(_ task: String, result: JSONValue?) {
    let id = Self.execution(of: task)
    guard let index = store[id]?.tasks.firstIndex(where: { $0.id == task }) else { return faults.append("there is no \(task)") }
    store[id]?.tasks[index].state = result == nil ? .failed : .completed
    store[id]?.tasks[index].result = result
    store[id]?.execution.recordings += 1
    if result == nil {
      store[id]?.tasks[index].error = ExecutionFailure(code: "BROKEN", message: "it broke")
      store[id]?.tasks[index].retryable = true
    }
  }

  /// Claims an execution of another node for this one, and returns the stored state.
  mutating func claimInStore(_ id: String) -> StoredExecution? {
    store[id]?.execution.owner = Self.session
    store[id]?.execution.epoch += 1
    return store[id]
  }

  /// Puts an execution of another node into the store.
  mutating func plant(_ stored: StoredExecution) {
    store[stored.execution.id] = stored
    noteTasks(of: stored.execution.id)
  }

  // MARK: Callers

  static func pattern(
    _ capabilities: [String] = ["text"], _ strategy: Aggregation.Strategy = .all, min: Int = 1, max: Int? = nil, retries: Int = 0
  ) -> PatternDefinition {
    PatternDefinition(
      name: "pattern", agents: AgentRequirement(capabilities: capabilities, min: min, max: max),
      aggregation: Aggregation(strategy: strategy), retries: retries)
  }

  func execution(
    _ id: String, _ pattern: PatternDefinition = pattern(), priority: ExecutionPriority = .normal, timeout: Duration = .seconds(60)
  ) -> Execution {
    Execution(
      id: id, pattern: pattern, priority: priority, input: [:], createdAt: now.wall, deadline: now.wall + timeout, owner: Self.session)
  }

  mutating func newWaiter() -> WaiterID {
    lastWaiter += 1
    return lastWaiter
  }

  /// Submits an execution without ending its creation; its id is `exec_` and a number.
  @discardableResult
  mutating func begin(
    _ pattern: PatternDefinition = pattern(), priority: ExecutionPriority = .normal, timeout: Duration = .seconds(60), waits: Bool = true,
    isRepeatable: Bool = false
  ) -> (id: String, waiter: WaiterID) {
    lastID += 1
    let execution = execution("exec_\(lastID)", pattern, priority: priority, timeout: timeout)
    let waiter = newWaiter()
    handle(.submitted(execution, waiter, waits: waits, isRepeatable: isRepeatable))
    return (execution.id, waiter)
  }

  /// Submits an execution and stores it.
  @discardableResult
  mutating func submit(
    _ pattern: PatternDefinition = pattern(), priority: ExecutionPriority = .normal, timeout: Duration = .seconds(60), waits: Bool = true
  ) -> (id: String, waiter: WaiterID) {
    let submitted = begin(pattern, priority: priority, timeout: timeout, waits: waits)
    settle()
    return submitted
  }

  mutating func cancel(_ id: String) -> WaiterID? {
    let waiter = newWaiter()
    handle(.cancelled(id, by: waiter))
    return refused.contains(waiter) ? nil : waiter
  }

  // MARK: Agents

  @discardableResult
  mutating func connect(
    _ agent: String, _ capabilities: [String] = ["text"], limit: Int = 1, activeTasks: [String]? = [], process: String? = nil
  ) -> Int64 {
    epoch += 1
    let epoch = epoch
    handle(
      .agent(
        .registered(agent, epoch: epoch, capabilities: capabilities, limit: limit, activeTasks: activeTasks, process: process)))
    return epoch
  }

  mutating func leave(_ agent: String, graceful: Bool = false) {
    let epoch = machine.agent(agent)?.epoch ?? 0
    handle(.agent(.left(agent, epoch: epoch, graceful: graceful)))
  }

  mutating func complete(_ task: String, by agent: String, result: JSONValue = "done", messageID: String? = nil) {
    let result = AgentMessage.TaskResult(taskId: task, executionId: Self.execution(of: task), result: result)
    handle(.completed(result, by: agent, messageID: messageID))
  }

  /// An agent's heartbeat lists its tasks.
  mutating func report(_ tasks: [String], by agent: String) {
    handle(.agent(.reported(agent, epoch: machine.agent(agent)?.epoch ?? 0, tasks: tasks)))
    settle()
  }

  /// Agents answer all pings.
  mutating func answerPings() {
    let pings = pings
    self.pings = []
    for ping in pings { handle(.agent(.answered(ping: ping.number, by: ping.agent, epoch: machine.agent(ping.agent)?.epoch ?? 0))) }
  }

  mutating func fail(_ task: String, by agent: String, retryable: Bool = true) {
    let failure = ExecutionFailure(code: "BROKEN", message: "it broke")
    let error = AgentMessage.TaskError(taskId: task, executionId: Self.execution(of: task), error: failure, retryable: retryable)
    handle(.failed(error, by: agent, messageID: nil))
  }

  static func execution(of task: String) -> String {
    "exec_" + task.split(separator: "_")[1]
  }

  mutating func advance(by duration: Duration) {
    pass(duration)
    handle(.timePassed)
  }

  /// Lets seconds pass one after the other, as in a node that is not paused.
  mutating func wait(_ seconds: Int) {
    for _ in 0..<seconds {
      advance(by: .seconds(1))
      settle()
    }
  }

  /// Lets time pass without a timer.
  mutating func pass(_ duration: Duration) {
    now.instant += duration
    now.wall = now.wall + duration
  }

  /// Announces the loads, and returns them.
  mutating func takeLoads() -> [String: Int] {
    handle(.agent(.loadsDue))
    defer { loads = [:] }
    return loads
  }

  // MARK: Observations

  /// The sent tasks, as "task agent", in order.
  var tasks: [String] {
    sent.compactMap { sent in
      guard case .task(let task) = sent.message else { return nil }
      return "\(task.taskId) \(sent.agent)"
    }
  }

  var acknowledged: [String] {
    sent.compactMap { sent in
      guard case .resultAck(let ack) = sent.message else { return nil }
      return "\(ack.taskId) \(sent.agent)"
    }
  }

  var cancelled: [String] {
    sent.compactMap { sent in
      guard case .taskCancelled(let task) = sent.message else { return nil }
      return "\(task.taskId) \(sent.agent) \(task.reason)"
    }
  }

  func status(_ id: String) -> ExecutionStatus? { store[id]?.execution.status }

  func load(_ agent: String) -> Int? { machine.agent(agent)?.tasks.count }

  mutating func forgetSent() { sent = [] }

  mutating func takeLookUps() -> [LookUp] {
    defer { lookUps = [] }
    return lookUps
  }
}
