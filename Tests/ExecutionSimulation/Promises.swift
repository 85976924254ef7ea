import ParallaxAPI
import ParallaxState

/// What is promised of executions, and what was seen of them.
struct Promises {
  /// How long after its deadline an acknowledged execution may end, if nodes and the store are there: a loss is noticed in 20 s, recovered
  /// within 5 s more, and read again 30 s later at most.
  static let overrun = Int64.seconds(90)
  /// How long after an execution's end its callers at nodes that run have heard of it: each is read every 30 s.
  static let answerDelay = Int64.seconds(40)
  /// How long an execution may wait beside an idle agent: what it waits for is read every 30 s, all agents every 60 s.
  static let idleLimit = Int64.seconds(100)
  /// How much earlier an execution may time out than its deadline, and how much later a task of it may begin.
  static let tolerance = Int64.seconds(5)
  /// How many processes of agents one input may take down: three times twice alone, and three times twice among others in each slot; a
  /// second slot may be lost at the same time.
  static func greatestLosses(slots: Int) -> Int { 6 + 8 * slots }

  /// An execution as the store showed it last.
  struct Seen {
    var stored: StoredExecution
    /// Since when it waits for agents.
    var waitingSince: Int64?
  }

  var seen: [String: Seen] = [:]
  /// What was acknowledged and has not ended.
  private(set) var live: Set<String> = []
  private(set) var acknowledged: [String: Int64] = [:]
  private var byKey: [String: String] = [:]
  private var dues: [String: Int64] = [:]
  private var collectedIDs: Set<String> = []
  private var deadlines: [String: Int64] = [:]
  private var numbers: [String: UInt64] = [:]
  /// What callers were told of ends.
  var told: [String: (status: ExecutionStatus, result: JSONValue?)] = [:]
  var probes: [String] = []
  /// The requests whose inputs take down their agents, and how many of those they have.
  var poisons: Set<UInt64> = []
  private var losses: [String: Int] = [:]
  /// How long agents work on requests for which nothing is drawn, in seconds.
  var works: [UInt64: Double] = [:]

  var hasLive: Bool { !live.isEmpty }
  var liveIDs: [String] { live.sorted() }

  mutating func requested(_ id: String, number: UInt64, due: Int64) {
    dues[id] = due
    numbers[id] = number
  }

  /// An execution is in the store for the first time, with its deadline by the clock of the store.
  mutating func created(_ execution: Execution) {
    if deadlines[execution.id] == nil { deadlines[execution.id] = (execution.deadline - ExecutionSimulation.start).nanoseconds }
  }

  /// When an execution may time out at the earliest, and is due at the latest; a request that is repeated may be created by either.
  func dueTimes(of id: String) -> ClosedRange<Int64>? {
    guard let due = dues[id] else { return nil }
    let deadline = deadlines[id] ?? due
    return min(due, deadline)...max(due, deadline)
  }

  func due(of id: String) -> Int64? { dues[id] }

  func work(on id: String) -> Double? { numbers[id].flatMap { works[$0] } }

  func isPoison(_ id: String) -> Bool { numbers[id].map { poisons.contains($0) } ?? false }

  mutating func lost(to id: String) -> Int {
    losses[id, default: 0] += 1
    return losses[id, default: 0]
  }

  /// An execution was acknowledged; false if that was said of it before.
  mutating func acknowledged(_ id: String, isTerminal: Bool) -> Bool {
    guard acknowledged[id] == nil else { return false }
    acknowledged[id] = dues[id] ?? 0
    if !isTerminal { live.insert(id) }
    return true
  }

  /// The execution that a key leads to, if it was another before.
  mutating func other(for key: String, than id: String) -> String? {
    let known = byKey[key] ?? id
    byKey[key] = known
    return known == id ? nil : known
  }

  /// An execution that has ended is not kept any more.
  mutating func collected(_ id: String) {
    seen[id] = nil
    told[id] = nil
    collectedIDs.insert(id)
  }

  func isCollected(_ id: String) -> Bool { collectedIDs.contains(id) }

  mutating func ended(_ id: String) { live.remove(id) }

  /// The store has lost of an execution.
  mutating func revived(_ id: String) { if acknowledged[id] != nil { live.insert(id) } }
}

extension ExecutionSimulation {
  /// A caller was told that an execution is kept.
  func acknowledged(_ id: String, _ request: SimulatedRequest, due: Int64) {
    let isTerminal = store.state.execution(id)?.execution.status.isTerminal ?? false
    if let key = request.key, !mix.losesWrites, let other = promises.other(for: key, than: id) {
      violate(.keyForked, "\(key) leads to \(id) and to \(other)")
    }
    guard promises.acknowledged(id, isTerminal: isTerminal) else { return }
    note("\(id) is acknowledged")
    if !isTerminal { watch(id, until: (promises.due(of: id) ?? now) + Promises.overrun) }
  }

  /// A caller was told how an execution ended.
  func told(_ stored: StoredExecution) {
    let execution = stored.execution
    promises.told[execution.id] = (execution.status, execution.result)
    guard !isRestoring, let present = store.state.execution(execution.id)?.execution else { return }
    if present.status != execution.status || present.result != execution.result {
      violate(.callerMisled, "a caller was told that \(execution.id) is \(execution.status), and it is \(present.status)")
    }
  }

  /// Looks whether an acknowledged execution ends in time.
  private func watch(_ id: String, until due: Int64) {
    plan(at: due) {
      guard self.promises.live.contains(id) else { return }
      // Where things go wrong all the time the time counts from when they stopped.
      let calm = self.mix.isDense && self.faultsAreOn ? self.now : self.disturbedAt
      if calm + Promises.overrun > self.now { return self.watch(id, until: calm + Promises.overrun + .seconds(1)) }
      self.violate(.notEnded, "\(id) has not ended \(Promises.overrun.text) s after its deadline: \(self.describe(id))")
    }
  }

  /// Called after every call of the store that may have changed an execution.
  func check(_ id: String) {
    guard let stored = store.state.execution(id) else {
      if promises.seen[id] != nil { violate(.wentBack, "\(id) is not there any more") }
      return
    }
    guard let former = promises.seen[id] else {
      promises.created(stored.execution)
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
      // A store that lost writes may hold an earlier epoch again, for a while, as its owner goes on.
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
      if before.state == .completed, before.result != task.result || task.state != .completed {
        violate(.resultReplaced, "the result of \(task.id) was replaced")
      }
    }
    if attempts > present.pattern.retries + 1 { violate(.tooManyAttempts, "\(id) had more attempts than its pattern allows") }
    let waits = isWaiting(stored)
    promises.seen[id] = Promises.Seen(stored: stored, waitingSince: waits ? former.waitingSince ?? now : nil)
  }

  /// The store has lost what was written last, or all.
  func lostWrites() {
    disturbed()
    for (id, former) in promises.seen {
      guard let stored = store.state.execution(id) else {
        promises.seen[id] = nil
        if former.stored.execution.status.isTerminal { promises.revived(id) }
        continue
      }
      if former.stored.execution.status.isTerminal, !stored.execution.status.isTerminal { promises.revived(id) }
      promises.seen[id] = Promises.Seen(stored: stored, waitingSince: isWaiting(stored) ? now : nil)
    }
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

  /// Whoever waits for an execution hears of its end, wherever that came about.
  private func checkCallers(of id: String) {
    guard promises.seen[id]?.stored.execution.status.isTerminal == true, now - disturbedAt >= Promises.answerDelay || !mix.isDense else {
      return
    }
    for node in nodes where now - node.wellSince >= Promises.answerDelay && now - store.refusesUntil >= Promises.answerDelay {
      if node.isWaited(for: id) { violate(.callerForgotten, "a caller at \(node.session) still waits for \(id): \(describe(id))") }
    }
  }

  /// An agent is told that it may forget a task's outcome.
  func checkAcknowledgement(of task: String, by agent: String) {
    guard !isRestoring else { return }
    let id = SimulatedAgent.execution(of: task)
    guard let stored = store.state.execution(id) else {
      return violate(.acknowledgedUnkept, "\(task) was acknowledged to \(agent) and its execution is not there")
    }
    let isOpen = stored.tasks.contains { $0.id == task && $0.state == .open }
    if isOpen, !stored.execution.status.isTerminal { violate(.acknowledgedUnkept, "\(task) was acknowledged to \(agent) and is not kept") }
  }

  /// A task goes out to an agent.
  func checkStart(of task: String, in id: String) {
    guard let due = promises.dueTimes(of: id)?.upperBound, now > due + Promises.tolerance, !mix.losesWrites else { return }
    // What waited in an outbox or a backlog when the store was away, and is not wanted any more, may come before that is heard.
    if now - disturbedAt > 6 * Promises.tolerance { violate(.startedLate, "\(task) was sent \((now - due).text) s after its deadline") }
  }

  /// Nothing waits for long while an agent that may have it has nothing to do.
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
    for id in promises.probes where !promises.isPoison(id) {
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
