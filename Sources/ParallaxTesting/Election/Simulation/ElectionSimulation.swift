package import ParallaxHA

/// A whole cluster in one thread on a virtual clock: the real state machines, a store, clocks of their own, and faults by a seed.
///
/// The promises of `LeaderElection` are checked after every event. The same seed gives the same run.
package struct ElectionSimulation {
  /// Indirect, as the queue moves them about.
  indirect enum Event {
    case start(Int)
    case wake(Int, epoch: Int, token: UInt64)
    case request(Int, epoch: Int, ElectionStateMachine.Call)
    case deliver(Int, epoch: Int, ElectionStateMachine.Event)
    case joined(Int, epoch: Int, Fence)
    case resumeProcess(Int, epoch: Int)
    case fault(Fault)
    case operatorWrites(ElectionCommand, ElectionSnapshot?)
    case endPause
    case fencedWrite(Fence)
    case look
    case faultsEnd
  }

  enum Fault {
    case pause, crash, cut, resign, unfit, loseData, failOver, operate
  }

  struct Node {
    var session: NodeSession
    var machine: ElectionStateMachine
    var configuration: ElectionConfiguration
    var isAlive = false
    var isPaused = false
    /// Counts the lives of the node: what was under way in a former one does not reach it.
    var epoch = 0
    var rate = 1.0
    var offset: Double
    var wallOffset: Double
    var cutUntil: Int64 = 0
    var wakeToken: UInt64 = 0
    var plannedWake: Int64 = .max
    var deferred: [Event] = []
    var duties: Fence?
    var areDutiesStuck = false
    var areDutiesEnding = false
    /// A process that was paused could not stop its duties in time.
    var wasPausedInTerm = false
  }

  let mix: FaultMix
  let rules: ElectionRules
  var report: SimulationReport
  var random: SimulationRandom
  var queue = SimulationQueue<Event>()
  var nodes: [Node] = []
  var store: SimulatedStore
  /// Nanoseconds since the beginning.
  var now: Int64 = 0
  var faultsAreOn = true
  var lastLoss: Int64 = .min / 2
  var accepted: Fence?
  var begun: Set<Fence> = []
  var gapSince: Int64?
  var lastHolderWrite: Int64 = 0
  var found: [SimulationReport.Violation.Kind] = []
  let isTraced: Bool
  let lease: Double
  let faultsEnd: Int64
  let end: Int64

  /// Makes a simulation.
  ///
  /// - Parameters:
  ///   - mix: What goes wrong.
  ///   - seed: What all draws follow from.
  ///   - rules: The rules of the state machines.
  ///   - isTraced: Whether to write down what happens.
  package init(_ mix: FaultMix, seed: UInt64, rules: ElectionRules = ElectionRules(), isTraced: Bool = false) {
    self.mix = mix
    self.rules = rules
    self.isTraced = isTraced
    report = SimulationReport(mix: mix.name, seed: seed)
    random = SimulationRandom(seed: seed)
    store = SimulatedStore(mix: mix)
    lease = Double(mix.timings.leaseDuration.nanoseconds)
    faultsEnd = Int64(lease * mix.leases)
    let slowest = 1 / (1 - mix.clockRateError) * (mix.mixesLeases ? 2 : 1)
    // A lease that runs out, the holds of a request, and what may still be on its way.
    let allowed = lease * slowest * 1.6 + lease * (mix.stuckDuties > 0 ? 3 : 0)
    report.longestAllowedGap = .nanoseconds(Int64(allowed))
    end = faultsEnd + Int64(allowed * 1.5 + lease)
  }

  /// Runs it to its end.
  package mutating func run() -> SimulationReport {
    makeNodes()
    planFaults()
    while let entry = queue.next(until: end), report.violations.isEmpty {
      now = entry.time
      report.events += 1
      happen(entry.event)
      for kind in found { report.violations.append(.init(kind: kind, time: .nanoseconds(now))) }
      found.removeAll(keepingCapacity: true)
    }
    report.grants = store.grantCount
    return report
  }

  private mutating func makeNodes() {
    for index in 0..<mix.nodes {
      let isForeign = mix.hasForeigner && index == mix.nodes - 1
      let session = NodeSession(nodeID: "n\(mix.hasTwins && index == 1 ? 0 : index)", incarnation: "i\(index).0")
      let scale = mix.mixesLeases ? [1, 0.3, 2][random.index(below: 3)] : 1
      let configuration = ElectionConfiguration(
        clusterID: isForeign ? "foreign" : "own", timings: mix.timings.scaled(by: scale), reclaimsOnRestart: mix.reclaims)
      var node = Node(
        session: session, machine: ElectionStateMachine(session: session, configuration: configuration, rules: rules),
        configuration: configuration, offset: random.between(0, 1e12),
        wallOffset: mix.wallClocksDiffer ? random.between(-3_600, 3_600) : 0)
      let error = mix.clockRateError
      node.rate = random.happens(0.6) ? (random.happens(0.5) ? 1 + error : 1 - error) : random.between(1 - error, 1 + error)
      nodes.append(node)
      plan(.start(index), after: isForeign ? lease * 2 : random.between(0, lease / (random.happens(0.5) ? 30 : 3)))
    }
  }

  private mutating func planFaults() {
    let rates: [(Double, Fault)] = [
      (mix.pauses, .pause), (mix.crashes, .crash), (mix.cuts, .cut), (mix.resignations, .resign), (mix.unfitness, .unfit),
      (mix.dataLosses, .loseData), (mix.failovers, .failOver), (mix.operations, .operate),
    ]
    for (rate, fault) in rates where rate > 0 {
      var time = 0.0
      while true {
        time += random.between(0, 2) / rate * lease
        guard time < Double(faultsEnd) else { break }
        plan(.fault(fault), after: time)
      }
    }
    plan(.faultsEnd, after: Double(faultsEnd))
    if mix.operatesForEver {
      var time = Double(faultsEnd)
      while time < Double(end) {
        time += random.between(0.3, 0.9) * lease
        plan(.fault(.operate), after: time)
      }
    }
  }

  mutating func plan(_ event: Event, after nanoseconds: Double) {
    queue.add(event, at: now + max(Int64(nanoseconds), 0))
  }

  mutating func trace(_ line: String) {
    if isTraced { report.trace.append("\(Double(now / 1_000) / 1e6) \(line)") }
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
    case .joined(let index, let epoch, let fence):
      guard nodes[index].epoch == epoch, nodes[index].duties == fence else { return }
      reach(index, event) { simulation in
        simulation.nodes[index].duties = nil
        simulation.handle(.dutiesJoined, on: index)
      }
    case .resumeProcess(let index, let epoch):
      if nodes[index].epoch == epoch { resumeProcess(index) }
    case .fault(let fault): cause(fault)
    case .operatorWrites(let command, let snapshot): operatorWrites(command, over: snapshot)
    case .endPause: operatorWrites(.resume, over: store.snapshot)
    case .fencedWrite(let fence): write(with: fence)
    case .look:
      checkForLeader()
      plan(.look, after: lease / 50)
    case .faultsEnd: endFaults()
    }
  }

  /// Lets something happen on a node, once it is not paused.
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
