import ParallaxAPI
import ParallaxState

/// The promises about executions, and the observations against which they are checked.
struct Promises {
  /// The time after its deadline within which an acknowledged execution ends if nodes and the store are available: a loss is noticed within
  /// 20 s and recovered within 5 s more, and the execution is reread at most 30 s later.
  static let overrun = Int64.seconds(90)
  /// The time after an execution's end within which its callers at running nodes have the outcome: each node rereads it every 30 s.
  static let answerDelay = Int64.seconds(40)
  /// The time for which an execution may wait beside an idle agent: the execution is reread every 30 s, all agents every 60 s.
  static let idleLimit = Int64.seconds(100)
  /// The time by which an execution may time out before its deadline, or a task begin after it.
  static let tolerance = Int64.seconds(5)
  /// The number of agent processes that one input may crash: three times twice alone, and once and three times twice among others in each
  /// slot; a second slot may be lost at the same time.
  static func greatestLosses(slots: Int) -> Int { 6 + 9 * slots }

  /// The last observed state of an execution.
  struct Seen {
    var stored: StoredExecution
    /// The time since which the execution waits for agents; nil if it does not.
    var waitingSince: Int64?
  }

  var seen: [String: Seen] = [:]
  /// The executions with a lost end, which its witnesses restore over later records.
  private(set) var endedBeforeLoss: Set<String> = []
  /// The results by task that the store had and has lost; their owners restore them over results that were recorded since.
  private var lostResults: [String: [JSONValue?]] = [:]
  /// The acknowledged executions that have not ended.
  private(set) var live: Set<String> = []
  private(set) var acknowledged: [String: Int64] = [:]
  private var byKey: [String: String] = [:]
  private var dues: [String: Int64] = [:]
  private var collectedIDs: Set<String> = []
  private var deadlines: [String: Int64] = [:]
  private var numbers: [String: UInt64] = [:]
  /// The outcomes that callers have received, by execution.
  var told: [String: (status: ExecutionStatus, result: JSONValue?)] = [:]
  var probes: [String] = []
  /// The requests whose inputs crash their agents; `losses` counts the crashed processes by execution.
  var poisons: Set<UInt64> = []
  private var losses: [String: Int] = [:]
  /// The requests whose results are larger than nodes accept.
  var tooLarge: Set<UInt64> = []
  /// The work times of requests with fixed ones, in seconds.
  var works: [UInt64: Double] = [:]

  var hasLive: Bool { !live.isEmpty }
  var liveIDs: [String] { live.sorted() }

  mutating func requested(_ id: String, number: UInt64, due: Int64) {
    dues[id] = due
    numbers[id] = number
  }

  /// Records the deadline of a new execution, by the store's clock.
  mutating func created(_ execution: Execution) {
    if deadlines[execution.id] == nil { deadlines[execution.id] = (execution.deadline - ExecutionSimulation.start).nanoseconds }
  }

  /// The earliest and the latest deadline of an execution, which differ if the repeat of a request may have created it.
  func dueTimes(of id: String) -> ClosedRange<Int64>? {
    guard let due = dues[id] else { return nil }
    let deadline = deadlines[id] ?? due
    return min(due, deadline)...max(due, deadline)
  }

  func due(of id: String) -> Int64? { dues[id] }

  func work(on id: String) -> Double? { numbers[id].flatMap { works[$0] } }

  func isPoison(_ id: String) -> Bool { numbers[id].map { poisons.contains($0) } ?? false }

  func isTooLarge(_ id: String) -> Bool { numbers[id].map { tooLarge.contains($0) } ?? false }

  mutating func lost(to id: String) -> Int {
    losses[id, default: 0] += 1
    return losses[id, default: 0]
  }

  /// Records the acknowledgement of an execution; returns false for a repeat.
  mutating func acknowledged(_ id: String, isTerminal: Bool) -> Bool {
    guard acknowledged[id] == nil else { return false }
    acknowledged[id] = dues[id] ?? 0
    if !isTerminal { live.insert(id) }
    return true
  }

  /// Records the execution of an idempotency key.
  ///
  /// - Returns: The earlier execution of the key, if it is another.
  mutating func other(for key: String, than id: String) -> String? {
    let known = byKey[key] ?? id
    byKey[key] = known
    return known == id ? nil : known
  }

  /// Records the removal of an ended execution.
  mutating func collected(_ id: String) {
    seen[id] = nil
    told[id] = nil
    collectedIDs.insert(id)
  }

  func isCollected(_ id: String) -> Bool { collectedIDs.contains(id) }

  mutating func ended(_ id: String) { live.remove(id) }

  /// Records the results that the store has lost.
  mutating func noteLostResults(of former: StoredExecution, in stored: StoredExecution?) {
    for task in former.tasks where task.state == .completed && stored?.tasks.contains(task) != true {
      lostResults[task.id, default: []].append(task.result)
    }
  }

  /// Whether a result replaces another one as it must not.
  func isReplaced(_ former: TaskRecord, by task: TaskRecord) -> Bool {
    guard former.state == .completed, former.result != task.result || task.state != .completed else { return false }
    return task.state != .completed || lostResults[task.id]?.contains(task.result) != true
  }

  /// Records that the store has lost the end of an execution, which is live again.
  mutating func revived(_ id: String) {
    endedBeforeLoss.insert(id)
    if acknowledged[id] != nil { live.insert(id) }
  }
}

extension ExecutionSimulation {
  /// Records the acknowledgement of an execution to a caller.
  func acknowledged(_ id: String, _ request: SimulatedRequest, due: Int64) {
    let isTerminal = store.state.execution(id)?.execution.status.isTerminal ?? false
    if let key = request.key, let other = promises.other(for: key, than: id) {
      violate(.keyForked, "\(key) leads to \(id) and to \(other)")
    }
    guard promises.acknowledged(id, isTerminal: isTerminal) else { return }
    note("\(id) is acknowledged")
    if !isTerminal { watch(id, until: (promises.due(of: id) ?? now) + Promises.overrun) }
  }

  /// Records the outcome that a caller has received, and compares it with the store's.
  func told(_ stored: StoredExecution) {
    let execution = stored.execution
    promises.told[execution.id] = (execution.status, execution.result)
    guard !isRestoring, let present = store.state.execution(execution.id)?.execution else { return }
    if present.status != execution.status || present.result != execution.result {
      violate(.callerMisled, "a caller was told that \(execution.id) is \(execution.status), and it is \(present.status)")
    }
  }

  /// Checks that an acknowledged execution ends in time.
  private func watch(_ id: String, until due: Int64) {
    plan(at: due) {
      guard self.promises.live.contains(id) else { return }
      // With dense faults, the time counts from their end.
      let calm = self.mix.isDense && self.faultsAreOn ? self.now : self.disturbedAt
      if calm + Promises.overrun > self.now { return self.watch(id, until: calm + Promises.overrun + .seconds(1)) }
      self.violate(.notEnded, "\(id) has not ended \(Promises.overrun.text) s after its deadline: \(self.describe(id))")
    }
  }

  /// Checks an execution; called after every call of the store that may have changed it.
  func check(_ id: String) {
    guard let stored = store.state.execution(id) else {
      if promises.seen[id] != nil { violate(.wentBack, "\(id) is not there any more") }
      return
    }
    guard let former = promises.seen[id] else {
      promises.created(stored.execution)
      if let key = stored.execution.idempotencyKey, let other = promises.other(for: key, than: id) {
        violate(.keyForked, "\(id) is created under \(key) beside \(other)")
      }
      note("\(id) is there: \(stored.execution.status) of \(stored.execution.owner), epoch \(stored.execution.epoch)")
      promises.seen[id] = Promises.Seen(stored: stored, waitingSince: isWaiting(stored) ? now : nil)
      if stored.execution.status.isTerminal { ended(stored) }
      return
    }
    let (was, present) = (former.stored.execution, stored.execution)
    if was != present { note("\(id): \(present.status) of \(present.owner), epoch \(present.epoch), revision \(present.revision)") }
    if was.status.isTerminal {
      if was.status != present.status || was.result != present.result || was.epoch != present.epoch {
        violate(.changedAfterEnd, "\(id) changed after its end: \(was.status) to \(present.status)")
      }
    } else {
      // After a loss of writes the store may hold an earlier epoch for a while, until the owner continues.
      if present.epoch < was.epoch || present.revision < was.revision && (present.epoch == was.epoch || !mix.losesWrites) {
        violate(.wentBack, "\(id) went back from epoch \(was.epoch), revision \(was.revision) to \(present.epoch), \(present.revision)")
      }
      if present.status.isTerminal { ended(stored) }
    }
    var attempts = 0
    for (index, task) in stored.tasks.enumerated() {
      attempts = max(attempts, task.attempt)
      guard index < former.stored.tasks.count else { continue }
      let before = former.stored.tasks[index]
      if promises.isReplaced(before, by: task) {
        violate(.resultReplaced, "the result of \(task.id) was replaced")
      }
    }
    if attempts > present.pattern.retries + 1 { violate(.tooManyAttempts, "\(id) had more attempts than its pattern allows") }
    let waits = isWaiting(stored)
    promises.seen[id] = Promises.Seen(stored: stored, waitingSince: waits ? former.waitingSince ?? now : nil)
  }

  /// Adjusts the observations to a store that has lost its last writes, or all of them.
  func lostWrites() {
    disturbed()
    for (id, former) in promises.seen {
      promises.noteLostResults(of: former.stored, in: store.state.execution(id))
      guard let stored = store.state.execution(id) else {
        promises.seen[id] = nil
        if former.stored.execution.status.isTerminal { promises.revived(id) }
        continue
      }
      if former.stored.execution.status.isTerminal, !stored.execution.status.isTerminal { promises.revived(id) }
      promises.seen[id] = Promises.Seen(stored: stored, waitingSince: isWaiting(stored) ? now : nil)
    }
  }

  /// Notes the executions that retention has removed.
  func collected() {
    for id in promises.seen.keys where store.state.execution(id) == nil { promises.collected(id) }
  }

  private func isWaiting(_ stored: StoredExecution) -> Bool {
    switch stored.execution.status {
    case .pending: true
    case .running: !stored.lastAttempts.contains { $0.state == .open }
    default: false
    }
  }

  private func ended(_ stored: StoredExecution) {
    let execution = stored.execution
    note("\(execution.id) is \(execution.status) by \(execution.owner)")
    promises.ended(execution.id)
    countEnd()
    plan(after: Promises.answerDelay) { self.checkCallers(of: execution.id) }
    guard !promises.endedBeforeLoss.contains(execution.id) else { return }
    let kept = Set(stored.tasks.filter { $0.state == .completed }.map(\.slot))
    switch execution.status {
    case .failed where kept.count >= execution.pattern.agents.min, .timedOut where kept.count >= execution.pattern.agents.min:
      violate(.resultsIgnored, "\(execution.id) is \(execution.status) though its results are kept: \(describe(execution.id))")
    case .timedOut:
      if let due = promises.dueTimes(of: execution.id)?.lowerBound, now + Promises.tolerance < due {
        violate(
          .endedEarly,
          "\(execution.id) timed out \((due - now).text) s before its deadline; \(nodes.map { "\($0.session) \($0.clockError.text)" }), created at \(execution.createdAt - Self.start), due at \(execution.deadline - Self.start)"
        )
      }
    case .completed where execution.pattern.aggregation.strategy == .all:
      let results = stored.lastAttempts.filter { $0.state == .completed }.map { $0.result ?? .null }
      if execution.result != ["results": .array(results)] {
        violate(.otherResult, "\(execution.id) ended with other results than are kept")
      }
    default: break
    }
  }

  /// Checks that all waiting callers of an execution have its outcome, wherever it ended.
  private func checkCallers(of id: String) {
    guard promises.seen[id]?.stored.execution.status.isTerminal == true, now - disturbedAt >= Promises.answerDelay || !mix.isDense else {
      return
    }
    for node in nodes where now - node.wellSince >= Promises.answerDelay && now - store.refusesUntil >= Promises.answerDelay {
      if node.isWaited(for: id) { violate(.callerForgotten, "a caller at \(node.session) still waits for \(id): \(describe(id))") }
    }
  }

  /// Checks that the store has an outcome whose acknowledgement an agent receives.
  func checkAcknowledgement(of task: String, by agent: String) {
    guard !isRestoring else { return }
    let id = SimulatedAgent.execution(of: task)
    guard let stored = store.state.execution(id) else {
      return violate(.acknowledgedUnkept, "\(task) was acknowledged to \(agent) and its execution is not there")
    }
    // Only after a loss of writes may the task be from another life of its execution.
    let isOpen = stored.tasks.first { $0.id == task }.map { $0.state == .open } ?? !mix.losesWrites
    if isOpen, !stored.execution.status.isTerminal { violate(.acknowledgedUnkept, "\(task) was acknowledged to \(agent) and is not kept") }
  }

  /// Checks that a task is sent before its deadline.
  func checkStart(of task: String, in id: String) {
    guard let due = promises.dueTimes(of: id)?.upperBound, now > due + Promises.tolerance, !mix.losesWrites else { return }
    violate(.startedLate, "\(task) was sent \((now - due).text) s after its deadline")
  }

  /// Checks that no execution waits for long while an agent that can take it is idle.
  func checkIdleAgents() {
    guard now - store.refusesUntil > Promises.idleLimit else { return }
    let idle = agents.filter { $0.idleSince.map { now - $0 > Promises.idleLimit } ?? false }
    guard !idle.isEmpty else { return }
    for id in promises.live {
      guard let seen = promises.seen[id], let since = seen.waitingSince, now - since > Promises.idleLimit,
        let owner = nodes.first(where: { $0.session == seen.stored.execution.owner }), now - owner.wellSince > Promises.idleLimit
      else { continue }
      let tried = Set(seen.stored.tasks.map(\.agentID))
      let able = idle.filter { !tried.contains($0.id) }
      if able.count >= seen.stored.execution.pattern.agents.min {
        violate(.idleAgents, "\(id) waits since \(since.text) s, and \(able.map(\.id)) have nothing to do: \(describe(id))")
      }
    }
  }

  // MARK: The end

  func checkTheEnd() {
    guard report.violations.isEmpty else { return }
    for id in promises.acknowledged.keys.sorted()
    where !promises.isCollected(id) && store.state.execution(id)?.execution.status.isTerminal != true {
      violate(.notEnded, "\(id) was acknowledged and has not ended: \(describe(id))")
    }
    for (id, told) in promises.told {
      guard let execution = store.state.execution(id)?.execution, execution.status == told.status, execution.result == told.result else {
        violate(.callerMisled, "a caller was told that \(id) is \(told.status): \(describe(id))")
        continue
      }
    }
    for id in promises.probes where !promises.isPoison(id) && !promises.isCollected(id) {
      guard let execution = store.state.execution(id)?.execution else {
        violate(.notDone, "\(id), asked for when all was well, is not there")
        continue
      }
      if execution.status != .completed, execution.error?.code != SimulatedAgent.errorCode {
        violate(.notDone, "\(id), asked for when all was well, has not completed: \(describe(id))")
      }
    }
    for node in nodes {
      for text in node.leftOvers { violate(.leftOver, text) }
      let owned = store.state.executions(ownedBy: node.session)
      if !owned.isEmpty { violate(.leftOver, "\(node.session) still lists \(owned.prefix(3).map { "\($0) \(describe($0))" })") }
    }
    for session in store.state.sessions().keys where !nodes.contains(where: { $0.session == session }) {
      if !store.state.executions(ownedBy: session).isEmpty { violate(.leftOver, "\(session), which is gone, still owns something") }
    }
    for agent in agents { for text in agent.leftOvers { violate(.leftOver, text) } }
  }

  func describe(_ id: String) -> String {
    let drivers = nodes.compactMap { $0.dispatcher.describe(id) }
    guard let stored = store.state.execution(id) else { return "not stored; \(drivers)" }
    let tasks = stored.tasks.map { "\($0.id) \($0.agentID) \($0.state) \($0.error?.code ?? "")" }
    let views = nodes.flatMap { node in agents.compactMap { node.dispatcher.describe(agent: $0.id) } }
    let execution = stored.execution
    return
      "\(execution.status) epoch \(execution.epoch) revision \(execution.revision) of \(execution.owner), \(tasks); \(drivers); \(views)"
  }
}
