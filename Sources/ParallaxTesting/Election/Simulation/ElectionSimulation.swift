import ParallaxHA

/// A whole cluster in one thread on a virtual clock: the real state machines, a store, a clock per node, and faults from a seed.
///
/// The promises of `LeaderElection` are checked after every event. The same seed gives the same run; without some of the faults, the run is
/// the same until the first of them.
package struct ElectionSimulation {
  /// Indirect, because the queue moves events.
  indirect enum Event {
    case start(Int)
    case wake(Int, epoch: Int, token: UInt64)
    case request(Int, epoch: Int, ElectionStateMachine.Call)
    case deliver(Int, epoch: Int, ElectionStateMachine.Event)
    case joined(Int, epoch: Int, FencingToken)
    case resumeProcess(Int, epoch: Int)
    case fault(SimulationFault.Kind, number: UInt64)
    case operatorWrites(ElectionCommand, ElectionSnapshot?)
    case endPause
    case fencedWrite(FencingToken)
    case leaderCheck
    case witnessActs(Int)
    case witnessCalls(Int, UInt64, DeathNotice.Step)
    case witnessHears(Int, UInt64, DeathNotice.Answer)
    case releaseCheck(Int)
    case faultsEnd
  }

  let mix: FaultMix
  let defect: any ElectionDefect
  var report: SimulationReport
  var chance: SimulationChance
  var queue = SimulationQueue<Event>()
  var nodes: [Node] = []
  /// The witnesses of all crashes so far.
  var witnesses: [Witness] = []
  var store: SimulatedStore
  /// Nanoseconds since the beginning.
  var now: Int64 = 0
  var faultsAreOn = true
  var lastLoss: Int64 = .min / 2
  var accepted: FencingToken?
  var begun: Set<FencingToken> = []
  var gapSince: Int64?
  var lastHolderWrite: Int64 = 0
  var found: [SimulationReport.Violation.Kind] = []
  let isTraced: Bool
  /// Whether every message takes ten milliseconds.
  let isSteady: Bool
  /// Whether a script controls the events, instead of a seed.
  let isScripted: Bool
  let lease: Double
  let faultsEnd: Int64
  let end: Int64

  /// Creates a simulation.
  ///
  /// - Parameters:
  ///   - mix: The faults and their rates.
  ///   - seed: The seed of all draws.
  ///   - defect: The defect of nodes, store and resource; nil, the default, for none.
  ///   - only: The faults that may strike; nil, the default, for all.
  ///   - isRecorded: Whether the report lists the faults that struck.
  ///   - isTraced: Whether the report has a trace.
  package init(
    _ mix: FaultMix, seed: UInt64, defect: (any ElectionDefect)? = nil, only: Set<SimulationFault>? = nil, isRecorded: Bool = false,
    isTraced: Bool = false
  ) {
    self.init(mix, chance: SimulationChance(seed: seed, only: only, isRecorded: isRecorded), defect: defect, isTraced: isTraced)
  }

  /// Creates a cluster without nodes, with messages of ten milliseconds, for a script.
  init(scriptedWith defect: (any ElectionDefect)?) {
    let chance = SimulationChance(seed: 0, only: [], isRecorded: false)
    self.init(FaultMix("script"), chance: chance, defect: defect, isTraced: true, isScripted: true)
  }

  private init(
    _ mix: FaultMix, chance: SimulationChance, defect: (any ElectionDefect)?, isTraced: Bool, isScripted: Bool = false
  ) {
    self.mix = mix
    self.defect = defect ?? NoDefect()
    self.isTraced = isTraced
    self.isScripted = isScripted
    self.chance = chance
    report = SimulationReport(mix: mix.name, seed: chance.seed)
    store = SimulatedStore(mix: mix)
    isSteady = self.chance.strikes(.unevenTravel) == nil
    lease = Double(mix.timings.leaseDuration.nanoseconds)
    faultsEnd = Int64(lease * mix.leases)
    let slowest = 1 / (1 - mix.clockRateError) * (mix.mixesLeases ? 2 : 1)
    // A lease that ends, the holds of a request, and delayed messages.
    let allowed = lease * slowest * 1.6 + lease * (mix.stuckDuties > 0 ? 3 : 0)
    report.longestAllowedGap = .nanoseconds(Int64(allowed))
    end = faultsEnd + Int64(allowed * 1.5 + lease)
  }

  /// Runs the simulation to its end, or until a promise is broken.
  package mutating func run() -> SimulationReport {
    makeNodes()
    planFaults()
    advance(to: end)
    report.grants = store.grantCount
    report.faults = chance.struck
    return report
  }

  /// Performs the planned events until an instant, or until a promise is broken.
  mutating func advance(to instant: Int64) {
    while report.violations.isEmpty, let entry = queue.next(until: instant) {
      now = entry.time
      report.events += 1
      happen(entry.event)
      noteViolations()
    }
  }

  mutating func noteViolations() {
    for kind in found {
      if isTraced { trace("A PROMISE IS BROKEN: \(kind)") }
      report.violations.append(.init(kind: kind, time: .nanoseconds(now)))
    }
    found.removeAll(keepingCapacity: true)
  }

  mutating func plan(_ event: Event, after nanoseconds: Double) {
    queue.add(event, at: now + max(Int64(nanoseconds), 0))
  }

  /// Adds a line to the trace.
  ///
  /// - Parameters:
  ///   - line: The text.
  ///   - isDetail: Whether terse traces omit the line.
  mutating func trace(_ line: String, isDetail: Bool = false) {
    if isTraced { report.trace.append(.init(time: .nanoseconds(now), text: line, isDetail: isDetail)) }
  }

  private mutating func happen(_ event: Event) {
    switch event {
    case .start(let index): start(index)
    case .wake(let index, let epoch, let token):
      guard nodes[index].epoch == epoch, nodes[index].wakeToken == token else { return }
      nodes[index].plannedWake = .max
      reach(index, event) { $0.handle(.timer, on: index) }
    case .request(let index, let epoch, let call): carryOut(call, of: index, epoch: epoch)
    case .deliver(let index, let epoch, let machineEvent):
      guard nodes[index].epoch == epoch else { return }
      reach(index, event) { $0.handle(machineEvent, on: index) }
    case .joined(let index, let epoch, let token):
      guard nodes[index].epoch == epoch, nodes[index].duties == token else { return }
      reach(index, event) { simulation in
        simulation.nodes[index].duties = nil
        simulation.handle(.dutiesJoined, on: index)
      }
    case .resumeProcess(let index, let epoch):
      if nodes[index].epoch == epoch { resumeProcess(index) }
    case .fault(let kind, let number): cause(kind, number)
    case .operatorWrites(let command, let snapshot): operatorWrites(command, over: snapshot)
    case .endPause: operatorWrites(.resume, over: store.snapshot)
    case .fencedWrite(let token): write(with: token)
    case .leaderCheck:
      checkForLeader()
      plan(.leaderCheck, after: lease / 50)
    case .witnessActs(let index): witnessActs(index)
    case .witnessCalls(let index, let number, let step): witnessCalls(index, number, step)
    case .witnessHears(let index, let number, let answer): witnessHears(index, number, answer)
    case .releaseCheck(let index): checkRelease(index)
    case .faultsEnd: endFaults()
    }
  }

  /// Performs an event of a node at once, or at the end of the node's pause.
  private mutating func reach(_ index: Int, _ event: Event, _ body: (inout ElectionSimulation) -> Void) {
    guard nodes[index].isAlive else { return }
    if nodes[index].isPaused { nodes[index].deferred.append(event) } else { body(&self) }
  }
}

extension Duration {
  var nanoseconds: Int64 {
    let (seconds, attoseconds) = components
    return seconds * 1_000_000_000 + attoseconds / 1_000_000_000
  }
}

extension ElectionTimings {
  func scaled(by factor: Double) -> ElectionTimings {
    guard factor != 1 else { return self }
    return ElectionTimings(
      unchecked: leaseDuration * factor, renewDeadline * factor, retryPeriod * factor, stopBudget: stopBudget * factor,
      callTimeout: callTimeout * factor, clockRateError: clockRateError)
  }
}
