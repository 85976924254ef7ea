import ParallaxHA

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// A simulated process: its clocks, its driver, its duties.
extension ElectionSimulation {
  /// The fate of one kind of messages between a node and the store.
  enum Flow {
    case open, lost, held
    /// The store, or a proxy in front of it, reports a failure at once.
    case failing
  }

  struct Node {
    var name: String
    var session: NodeSession
    var machine: ElectionStateMachine
    var defect: any ElectionDefect = NoDefect()
    var configuration: ElectionConfiguration
    var needsBootstrapWait = true
    var isAlive = false
    var isPaused = false
    /// The number of the node's life: messages of a former life do not reach it.
    var epoch = 0
    var rate = 1.0
    var offset = 0.0
    /// In seconds.
    var wallOffset = 0.0
    var cutUntil: Int64 = 0
    var requests = Flow.open
    var writes = Flow.open
    var replies = Flow.open
    var hints = Flow.open
    var held: [Event] = []
    var wakeToken: UInt64 = 0
    var plannedWake: Int64 = .max
    var deferred: [Event] = []
    var terms: UInt64 = 0
    var lastToken: FencingToken?
    var duties: FencingToken?
    var areDutiesStuck = false
    var areDutiesEnding = false
    /// Whether the process was paused during a term, so that it could not stop its duties in time.
    var wasPausedInTerm = false

    init(_ name: String, id: String, _ configuration: ElectionConfiguration) {
      self.name = name
      self.configuration = configuration
      session = NodeSession(nodeID: id, incarnation: "\(name).0")
      machine = ElectionStateMachine(session: session, configuration: configuration)
    }

    mutating func handle(
      _ event: ElectionStateMachine.Event, at now: ElectionStateMachine.Moment
    ) -> [ElectionStateMachine.Action] {
      defect.handle(event, at: now, by: &machine)
    }
  }

  mutating func makeNodes() {
    var count = mix.nodes
    if mix.varyNodes {
      var draws = chance.draws(for: .node)
      // Small clusters are as frequent as large ones, by powers of two.
      let least = 1 << draws.index(below: Int.bitWidth - mix.nodes.leadingZeroBitCount)
      count = min(least + draws.index(below: least), mix.nodes)
    }
    for index in 0..<count {
      var draws = chance.draws(for: .node, node: index, number: 1)
      let isForeign = mix.hasForeigner && index == mix.nodes - 1
      var scale = 1.0
      if mix.mixesLeases, var draws = chance.strikes(.otherLease, node: index) { scale = [1, 0.3, 2][draws.index(below: 3)] }
      var node = Node(
        "n\(index)", id: "n\(mix.hasTwins && index == 1 ? 0 : index)",
        ElectionConfiguration(
          clusterID: isForeign ? "foreign" : "own", timings: mix.timings.scaled(by: scale), reclaimsOnRestart: mix.reclaims))
      node.offset = draws.between(0, 1e12)
      if mix.wallClocksDiffer, var draws = chance.strikes(.wallClock, node: index) { node.wallOffset = draws.between(-3_600, 3_600) }
      if mix.clockRateError > 0, var draws = chance.strikes(.clockRate, node: index) { node.rate = rate(&draws) }
      nodes.append(node)
      let delay = isForeign ? lease * 2 : draws.between(0, lease / (draws.happens(0.5) ? 30 : 3))
      if chance.strikes(.node, node: index) != nil { plan(.start(index), after: delay) }
    }
  }

  private func rate(_ draws: inout SimulationRandom) -> Double {
    let error = mix.clockRateError
    return draws.happens(0.6) ? (draws.happens(0.5) ? 1 + error : 1 - error) : draws.between(1 - error, 1 + error)
  }

  /// The reading of a node's continuous clock.
  func reading(on index: Int) -> Double { nodes[index].offset + nodes[index].rate * Double(now) }

  /// The simulated time until a node's clock has advanced by a duration.
  private func trueTime(for local: Double, on index: Int) -> Double { local / nodes[index].rate }

  mutating func start(_ index: Int) {
    guard !nodes[index].isAlive, chance.only?.contains(SimulationFault(.node, node: index)) ?? true || isScripted else { return }
    nodes[index].epoch += 1
    let epoch = nodes[index].epoch
    nodes[index].isAlive = true
    nodes[index].isPaused = false
    nodes[index].session.incarnation = "\(nodes[index].name).\(epoch)"
    nodes[index].machine = ElectionStateMachine(
      session: nodes[index].session, configuration: nodes[index].configuration, needsBootstrapWait: nodes[index].needsBootstrapWait)
    nodes[index].defect = defect
    nodes[index].duties = nil
    nodes[index].areDutiesEnding = false
    nodes[index].deferred = []
    nodes[index].plannedWake = .max
    if isTraced { trace("\(nodes[index].name) starts") }
    handle(.start, on: index)
    handle(.candidacy(true), on: index)
  }

  mutating func stopProcess(_ index: Int) {
    nodes[index].isAlive = false
    nodes[index].epoch += 1
    nodes[index].duties = nil
    if isTraced { trace("\(nodes[index].name) is gone") }
  }

  mutating func pauseProcess(_ index: Int) {
    nodes[index].isPaused = true
    nodes[index].wasPausedInTerm = true
    if isTraced { trace("\(nodes[index].name) is paused") }
  }

  mutating func resumeProcess(_ index: Int) {
    guard nodes[index].isPaused else { return }
    nodes[index].isPaused = false
    if isTraced { trace("\(nodes[index].name) continues") }
    let deferred = nodes[index].deferred
    nodes[index].deferred = []
    for event in deferred { queue.add(event, at: now) }
    nodes[index].plannedWake = .max
    planWake(index)
  }

  /// Acts as the driver: passes an event to the machine, performs the actions, and plans the next timer.
  mutating func handle(_ event: ElectionStateMachine.Event, on index: Int) {
    let instant = reading(on: index)
    let beginning = isScripted ? 0 : 1_700_000_000.0
    let wall = Date(timeIntervalSince1970: beginning + Double(now) / 1e9 + nodes[index].wallOffset)
    let reading = ElectionStateMachine.Moment(instant: .nanoseconds(Int64(instant)), wall: wall)
    let actions = nodes[index].handle(event, at: reading)
    for action in actions { perform(action, on: index) }
    guard nodes[index].isAlive else { return }
    checkValidity(of: index)
    if case .timer = event, let wakeUp = nodes[index].machine.wakeUp, wakeUp <= .nanoseconds(Int64(instant)) { found.append(.sleepless) }
    planWake(index)
  }

  private mutating func perform(_ action: ElectionStateMachine.Action, on index: Int) {
    switch action {
    case .send(let call):
      report.storeCalls += 1
      if isTraced {
        trace("\(nodes[index].name) sends \(call.purpose)\(call.record.map { " " + Self.summary(of: $0) } ?? "")", isDetail: true)
      }
      transmit(call, from: index)
    case .beginTerm(let token):
      if isTraced { trace("\(nodes[index].name) leads term \(token.term)") }
      begin(token, on: index)
    case .endTerm(let token, let end):
      if isTraced { trace("\(nodes[index].name) ends term \(token.term): \(end)") }
      nodes[index].areDutiesEnding = true
      endDuties(of: token, on: index)
    case .resigned:
      stopProcess(index)
      guard !isScripted else { return }
      var draws = chance.draws(for: .resignation, node: index, number: UInt64(nodes[index].epoch), part: 1)
      plan(.start(index), after: draws.between(0, lease))
    case .notice(.elected), .notice(.ended):
      break
    case .notice(let notice):
      if isTraced { trace("\(nodes[index].name) reports \(notice)") }
    }
  }

  private mutating func begin(_ token: FencingToken, on index: Int) {
    if !begun.insert(token).inserted { found.append(.revived) }
    nodes[index].terms += 1
    nodes[index].duties = token
    nodes[index].lastToken = token
    nodes[index].areDutiesEnding = false
    nodes[index].wasPausedInTerm = false
    if !isScripted {
      nodes[index].areDutiesStuck =
        chance.strikes(.stuckDuties, node: index, number: nodes[index].terms, probability: mix.stuckDuties) != nil
      var draws = chance.draws(for: .stuckDuties, node: index, number: nodes[index].terms, part: 1)
      for _ in 0..<3 { plan(.fencedWrite(token), after: draws.between(0, lease)) }
    }
    checkDuties(beginningOn: index)
  }

  private mutating func endDuties(of token: FencingToken, on index: Int) {
    var local = 0.0
    if isScripted {
      if nodes[index].areDutiesStuck { return }
    } else {
      var draws = chance.draws(for: .stuckDuties, node: index, number: nodes[index].terms, part: 2)
      let budget = Double(nodes[index].configuration.timings.stopBudget.nanoseconds)
      local = nodes[index].areDutiesStuck ? draws.between(1, 2) * lease : draws.between(0, budget)
    }
    plan(.joined(index, epoch: nodes[index].epoch, token), after: trueTime(for: local, on: index))
  }

  private mutating func planWake(_ index: Int) {
    guard nodes[index].isAlive, let wakeUp = nodes[index].machine.wakeUp else { return }
    // One nanosecond more, so that rounding never wakes a node too early.
    let local = Double(wakeUp.nanoseconds) + 1 - reading(on: index)
    let time = now + max(Int64(trueTime(for: local, on: index)) + 1, 1)
    guard time != nodes[index].plannedWake else { return }
    nodes[index].wakeToken += 1
    nodes[index].plannedWake = time
    queue.add(.wake(index, epoch: nodes[index].epoch, token: nodes[index].wakeToken), at: time)
  }
}
