import ParallaxAPI
import ParallaxHA
import ParallaxState
import ParallaxTesting

/// Simulates several nodes with their store, inboxes, events, agents and callers in one thread on a virtual clock, with seeded faults.
///
/// Faults strike for a while, then stop. The promises of docs/ownership.md are checked after every event that may break them, and at the
/// end. A mix and a seed replay a run exactly; `only` limits the faults to a set, as ``ShrunkExecutions`` does.
package final class ExecutionSimulation {
  static let start = Timestamp(milliseconds: 1_800_000_000_000)

  package let mix: ExecutionMix
  package private(set) var report: ExecutionReport
  var chance: FaultChance
  private(set) var now: Int64 = 0
  private var work = PlannedWork()
  private let time = SharedTime()
  let store: SimulatedStore
  private(set) var nodes: [SimulatedNode] = []
  private(set) var agents: [SimulatedAgent] = []
  private(set) var faultsAreOn = true
  let isTraced: Bool
  /// The script of a scenario, which replaces the planned faults and the load.
  private let script: ((ExecutionSimulation) -> Void)?
  /// The time of the last disturbance that delays work.
  private(set) var disturbedAt: Int64 = 0
  var promises = Promises()
  private var requests: UInt64 = 0
  private var lastLoss: Int64 = -.seconds(1_000)
  private var lastDeath: Int64 = -.seconds(1_000)
  /// Whether a scenario loses messages between nodes; `losesEvents` likewise for events.
  var losesMessages = false
  var losesEvents = false

  package init(
    _ mix: ExecutionMix, seed: UInt64, only: Set<ExecutionFault>? = nil, isRecorded: Bool = false, isTraced: Bool = false,
    script: ((ExecutionSimulation) -> Void)? = nil
  ) {
    self.mix = mix
    self.isTraced = isTraced
    self.script = script
    report = ExecutionReport(mix: mix.name, seed: seed)
    chance = FaultChance(seed: seed, only: only, isRecorded: isRecorded)
    let time = time
    store = SimulatedStore { time.wall }
  }

  // MARK: Time

  func plan(after delay: Int64, _ body: @escaping () -> Void) { work.add(body, at: now + max(0, delay)) }

  func plan(at instant: Int64, _ body: @escaping () -> Void) { work.add(body, at: max(now, instant)) }

  /// The travel time of a message, which is mostly short.
  func travel(_ node: Int, _ number: UInt64) -> Int64 {
    var draws = chance.draws(.travel, node: node, number: number)
    return draws.happens(0.02) && faultsAreOn ? Int64(draws.between(50e6, 1e9)) : Int64(draws.between(2e5, 5e6))
  }

  func note(_ line: @autoclosure () -> String) {
    if isTraced { report.trace.append("\(now.text) \(line())") }
  }

  func violate(_ kind: ExecutionReport.Violation.Kind, _ text: @autoclosure () -> String) {
    guard report.violations.count < 10 else { return }
    let violation = ExecutionReport.Violation(kind: kind, time: now, text: text())
    report.violations.append(violation)
    note("A PROMISE IS BROKEN: \(violation)")
  }

  /// Records a disturbance that delays work.
  func disturbed() { disturbedAt = max(disturbedAt, now) }

  func countCall() { report.storeCalls += 1 }

  func countDeath() {
    report.deaths += 1
    lastDeath = now
    disturbed()
  }

  func countEnd() { report.ended += 1 }

  // MARK: The run

  /// Runs to the end, or until a promise is broken.
  @discardableResult
  package func run() -> ExecutionReport {
    for index in 0..<mix.nodes { nodes.append(SimulatedNode(index, in: self)) }
    for index in 0..<mix.agents { agents.append(SimulatedAgent(index, in: self)) }
    for node in nodes { node.start() }
    for agent in agents {
      var draws = chance.draws(.start, node: agent.index)
      plan(after: Int64(draws.between(0, 1e9))) { agent.connect() }
    }
    let end = Int64.seconds(mix.faultTime)
    if let script {
      script(self)
    } else {
      planFaults(until: end)
      plan(after: .seconds(2)) { self.submitAgain(until: end) }
      if mix.cancellations > 0 { plan(after: .seconds(5)) { self.cancelAgain(number: 1, until: end) } }
    }
    plan(after: end) { self.endFaults() }
    plan(after: .seconds(Self.lookInterval)) { self.lookAgain() }
    advance(to: end)
    settle()
    probe()
    checkTheEnd()
    report.faults = chance.struck
    // Breaks the reference cycles between the simulation and its plans, nodes and agents.
    work = PlannedWork()
    nodes = []
    agents = []
    return report
  }

  private static let lookInterval = 5.0

  private func lookAgain() {
    checkIdleAgents()
    plan(after: .seconds(Self.lookInterval)) { self.lookAgain() }
  }

  private func advance(to end: Int64) {
    while report.violations.isEmpty, let entry = work.next(until: end) {
      now = max(now, entry.time)
      time.now = now
      report.events += 1
      entry.event()
    }
    now = max(now, end)
    time.now = now
  }

  /// Continues until all acknowledged executions have ended, and their callers should have answers.
  private func settle() {
    let limit = now + .seconds(mix.timeouts.upperBound + 60) + Promises.overrun
    while report.violations.isEmpty, now < limit, promises.hasLive || nodes.contains(where: \.isBusy) { advance(to: now + .seconds(5)) }
    advance(to: now + Promises.answerDelay + .seconds(5))
  }

  /// Submits executions after a long time without faults, and waits for their prompt end.
  private func probe() {
    guard report.violations.isEmpty else { return }
    for _ in 0..<(2 * mix.agents) {
      let request = submit(timeout: 50)
      promises.probes.append(request.firstID)
    }
    let limit = now + .seconds(60)
    advance(to: now + .seconds(5))
    while report.violations.isEmpty, now < limit, promises.hasLive || nodes.contains(where: \.isBusy) { advance(to: now + .seconds(2)) }
    // Time for acknowledgements, releases, loads, and the places of withdrawn tasks at agents that do not report them.
    advance(to: now + .seconds(45))
  }

  // MARK: Nodes

  /// Draws a node that callers, or agents, can reach; nil if there is none.
  func reachableNode(_ draws: inout SimulationRandom, by isOpen: (SimulatedNode) -> Bool = \.takesWork) -> SimulatedNode? {
    let open = nodes.filter(isOpen)
    return open.isEmpty ? nil : open[draws.index(below: open.count)]
  }

  // MARK: The load

  private func submitAgain(until end: Int64) {
    guard now < end else { return }
    var draws = chance.draws(.submission, number: requests + 1)
    let timeout = draws.between(mix.timeouts.lowerBound, mix.timeouts.upperBound)
    let pause = draws.between(0, 2 * mix.submissions)
    submit(timeout: timeout)
    plan(after: .seconds(pause)) { self.submitAgain(until: end) }
  }

  /// Submits an execution to a node, drawn if nil.
  @discardableResult
  func submit(timeout: Double, at node: SimulatedNode? = nil, _ change: (inout SimulatedRequest) -> Void = { _ in }) -> SimulatedCaller {
    requests += 1
    var draws = chance.draws(.submission, node: 1, number: requests)
    let width = mix.agents > 2 && draws.happens(mix.pairs) ? 2 : 1
    var request = SimulatedRequest(
      number: requests,
      pattern: PatternDefinition(
        name: "p", agents: AgentRequirement(capabilities: ["text"], min: width, max: width),
        aggregation: Aggregation(strategy: draws.happens(0.5) ? .all : .first), retries: draws.index(below: 3)),
      timeout: .seconds(timeout), waits: draws.happens(0.5), key: draws.happens(mix.keys) ? "key-\(requests)" : nil)
    change(&request)
    if faultsAreOn, chance.strikes(.poison, number: requests, probability: mix.poison) != nil { promises.poisons.insert(requests) }
    if let work = request.work { promises.works[requests] = work }
    let caller = SimulatedCaller(request, in: self)
    caller.ask(node)
    return caller
  }

  private func cancelAgain(number: UInt64, until end: Int64) {
    guard now < end else { return }
    var draws = chance.draws(.cancellation, number: number)
    let live = promises.liveIDs
    if !live.isEmpty, let node = reachableNode(&draws) { node.cancel(live[draws.index(below: live.count)]) }
    plan(after: .seconds(draws.between(0, 2 * mix.cancellations))) { self.cancelAgain(number: number + 1, until: end) }
  }

  // MARK: Faults

  private func planFaults(until end: Int64) {
    let rates: [(Double, ExecutionFault.Kind)] = [
      (mix.crashes, .crash), (mix.stops, .stop), (mix.pauses, .pause), (mix.cuts, .cut), (mix.deafness, .deafness),
      (mix.clockJumps, .clockJump), (mix.agentBreaks, .agentBreak), (mix.agentDeaths, .agentDeath), (mix.failovers, .failover),
      (mix.flushes, .flush), (mix.refusals, .refusal),
    ]
    for (interval, kind) in rates where interval > 0 {
      var draws = chance.times(of: kind)
      var time = 0.0
      var number: UInt64 = 0
      while true {
        time += draws.between(0, 2) * interval
        guard Int64.seconds(time) < end else { break }
        number += 1
        let number = number
        plan(at: .seconds(time)) { self.cause(kind, number) }
      }
    }
  }

  private func cause(_ kind: ExecutionFault.Kind, _ number: UInt64) {
    var draws = SimulationRandom(seed: report.seed, for: kind.rawValue &+ (2 << 8), node: 0, number: number)
    let (node, agent) = (nodes[draws.index(below: nodes.count)], agents[draws.index(below: agents.count)])
    guard canStrike(kind, node), chance.strikes(kind, number: number) != nil else { return }
    let length = draws.fraction()
    let left = max(0, Int64.seconds(mix.faultTime) - now)
    switch kind {
    case .crash:
      // Half of the processes restart at once.
      let down = draws.happens(0.5) ? 0.2 : length * mix.longestDown
      node.die(for: min(.seconds(down), left), isSilent: draws.happens(0.3))
    case .stop:
      let stop = Int64.seconds(2 + length * 20)
      guard stop < left else { return }
      node.stop(within: stop, thenDownFor: min(.seconds(draws.fraction() * mix.longestDown), left - stop))
    case .pause: node.pause(for: min(.seconds(1 + length * mix.longestPause), left))
    case .cut: node.cut(for: min(.seconds(length * mix.longestCut), left))
    case .deafness: node.deafen(for: min(.seconds(length * mix.longestDeafness), left))
    case .clockJump: node.jump(by: Int64(draws.between(-1_000, 1_000) * mix.wallClockError))
    case .agentBreak:
      let kind = draws.happens(mix.goodByes) ? SimulatedAgent.Break.goodBye : draws.happens(mix.silentBreaks) ? .silent : .plain
      agent.breakConnection(kind, awayFor: .seconds(draws.happens(0.2) ? draws.between(20, 50) : length * mix.longestAway))
    case .agentDeath: agent.die(for: .seconds(draws.happens(0.5) ? 0.1 : length * mix.longestDown))
    case .failover: failOver(lag: .seconds(length * mix.longestLag), away: .seconds(draws.between(0.1, 3)))
    case .flush: flush()
    case .refusal: refuse(for: min(.seconds(length * mix.longestRefusal), left))
    default: preconditionFailure("\(kind) is not planned")
    }
  }

  /// Whether a fault may strike now: acknowledged writes that Redis has lost survive only while the nodes that can restore them live.
  private func canStrike(_ kind: ExecutionFault.Kind, _ node: SimulatedNode) -> Bool {
    let isSettled = now - lastLoss > .seconds(60)
    switch kind {
    case .crash, .stop: return node.isUp && node.stop == nil && isSettled
    case .pause: return node.isUp && !node.isPaused && isSettled
    case .cut: return node.isUp && isSettled
    case .failover, .flush:
      return now > .seconds(10) && isSettled && now - lastDeath > .seconds(60) && nodes.allSatisfy { $0.isUp && !$0.isPaused && !$0.isCut }
    default: return true
    }
  }

  func failOver(lag: Int64, away: Int64) {
    note("a replica of the store stands still")
    lastLoss = now + lag
    store.halt(at: now)
    plan(after: lag) {
      self.lastLoss = self.now
      self.note("the replica takes over")
      self.store.failOver(at: self.now, awayFor: away)
      self.lostWrites()
      for node in self.nodes { node.reconnect(after: away) }
    }
  }

  func flush() {
    note("the store is flushed")
    lastLoss = now
    store.flush(at: now)
    lostWrites()
  }

  /// Moves the store's clock, as a failover to a server with another clock does.
  func jumpStoreClock(by milliseconds: Int64) {
    note("the store's clock jumps by \(milliseconds) ms")
    time.storeError += milliseconds
  }

  func refuse(for time: Int64) {
    note("the store takes no writes for \(time.text) s")
    store.refuse(until: now + time)
    disturbedAt = max(disturbedAt, now + time)
  }

  /// Whether the restoration of lost writes may be unfinished.
  var isRestoring: Bool { now - lastLoss < .seconds(30) }

  /// Ends all faults.
  private func endFaults() {
    note("all is well from here")
    faultsAreOn = false
    let wasAway = store.awayUntil > now
    store.heal(at: now)
    disturbedAt = now
    for node in nodes {
      node.heal()
      if wasAway { node.reconnect(after: 0) }
    }
    for agent in agents { agent.heal() }
  }
}

/// The simulated time, shared with the store's clock.
private final class SharedTime: @unchecked Sendable {
  var now: Int64 = 0
  /// The error of the store's clock, in milliseconds.
  var storeError: Int64 = 0
  var wall: Timestamp { Timestamp(milliseconds: ExecutionSimulation.start.milliseconds + now / 1_000_000 + storeError) }
}
