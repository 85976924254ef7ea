import ParallaxHA

/// Planned faults and operators.
extension ElectionSimulation {
  mutating func planFaults() {
    let rates: [(Double, SimulationFault.Kind)] = [
      (mix.pauses, .pause), (mix.crashes, .crash), (mix.cuts, .cut), (mix.resignations, .resignation), (mix.unfitness, .unfitness),
      (mix.dataLosses, .dataLoss), (mix.failovers, .failover), (mix.operations, .operation),
    ]
    for (rate, kind) in rates where rate > 0 {
      var draws = chance.draws(for: kind, part: 1)
      var time = 0.0
      var number: UInt64 = 0
      while true {
        time += draws.between(0, 2) / rate * lease
        guard time < Double(faultsEnd) else { break }
        number += 1
        plan(.fault(kind, number: number), after: time)
      }
      guard kind == .operation, mix.operatesForEver else { continue }
      time = Double(faultsEnd)
      while time < Double(end) {
        time += draws.between(0.3, 0.9) * lease
        number += 1
        plan(.fault(kind, number: number), after: time)
      }
    }
    plan(.faultsEnd, after: Double(faultsEnd))
  }

  mutating func cause(_ kind: SimulationFault.Kind, _ number: UInt64) {
    var draws = chance.draws(for: kind, number: number)
    let index = draws.index(below: nodes.count)
    guard canStrike(kind, index), var details = chance.strikes(kind, number: number) else { return }
    _ = details.next()
    let length = draws.fraction()
    let left = Double(max(faultsEnd - now, 0))
    let (name, epoch) = (nodes[index].name, nodes[index].epoch)
    switch kind {
    case .pause:
      pauseProcess(index)
      if defect.takesSilenceForDeath { witness(nodes[index].session, of: index, number: number) }
      plan(.resumeProcess(index, epoch: epoch), after: min(length * mix.longestPause * lease, left))
    case .crash:
      let session = nodes[index].session
      stopProcess(index)
      witness(session, of: index, number: number)
      plan(.start(index), after: min(draws.happens(0.5) ? 50e6 : length * 1.5 * lease, left))
    case .cut:
      nodes[index].cutUntil = now + Int64(min(length * 1.5 * lease, left))
      if isTraced { trace("\(name) is cut off") }
    case .resignation:
      handle(.resign, on: index)
    case .unfitness:
      plan(.deliver(index, epoch: epoch, .eligibility(true)), after: min(length * lease, left))
      if isTraced { trace("\(name) is not fit to lead") }
      handle(.eligibility(false), on: index)
    case .dataLoss:
      lastLoss = now
      loseData()
    case .failover:
      failOver(by: 1 + draws.index(below: 4))
    case .operation:
      operate(on: index, &draws)
    default: preconditionFailure("\(kind) is not planned")
    }
  }

  private func canStrike(_ kind: SimulationFault.Kind, _ index: Int) -> Bool {
    switch kind {
    case .pause, .resignation, .unfitness: return nodes[index].isAlive && !nodes[index].isPaused
    case .crash:
      let holdsLease = nodes[index].machine.lease != nil
      if mix.sparesStandbys, !holdsLease { return false }
      if mix.sparesLeader, holdsLease || Double(now) < lease * 2 { return false }
      return nodes[index].isAlive
    case .dataLoss:
      guard Double(now - lastLoss) >= mix.shortestTimeBetweenLosses * lease, store.snapshot != nil else { return false }
      return !mix.expectsNoTransition || Double(now) >= lease * 2
    default: return true
    }
  }

  mutating func loseData() {
    store.loseData()
    trace("the store loses its data")
  }

  mutating func failOver(by count: Int) {
    store.failOver(by: count)
    if isTraced { trace("the store fails over to \(store.snapshot.map { Self.summary(of: $0.record) } ?? "nothing")") }
  }

  private mutating func operate(on target: Int, _ draws: inout SimulationRandom) {
    guard !mix.operationKinds.isEmpty else { return }
    let command: ElectionCommand
    switch mix.operationKinds[draws.index(below: mix.operationKinds.count)] {
    case .stepDown: command = .stepDown(to: nil)
    case .stepDownTo: command = .stepDown(to: nodes[target].session.nodeID)
    case .elect: command = .elect
    case .force: command = .force
    case .pause: command = store.snapshot?.record.isPaused == true ? .resume : .pause
    }
    if command == .pause, !faultsAreOn { return }
    plan(.operatorWrites(command, store.snapshot), after: draws.between(8e6, 32e6))
  }

  mutating func operatorWrites(_ command: ElectionCommand, over snapshot: ElectionSnapshot?) {
    _ = try? carryOut(command, over: snapshot)
  }

  /// Writes a command into the record, as a node does for an operator.
  ///
  /// - Returns: Whether the record changed.
  /// - Throws: The reason to refuse the command.
  mutating func carryOut(_ command: ElectionCommand, over snapshot: ElectionSnapshot?) throws(ElectionError) -> Bool {
    let next = try defect.apply(
      command, to: snapshot?.record, id: "request-\(report.events)", clusterID: mix.hasForeigner || !isScripted ? "own" : "default",
      timings: mix.timings)
    guard let next, let version = store.compareAndSet(next, expecting: snapshot?.version, violations: &found) else { return false }
    if isTraced { trace("an operator writes \(Self.name(of: command)) \(Self.summary(of: next))") }
    hint(ElectionSnapshot(record: next, version: version))
    return true
  }

  private static func name(of command: ElectionCommand) -> String {
    switch command {
    case .stepDown(nil): "a step down"
    case .stepDown(let target?): "a step down to \(target)"
    case .elect: "an election"
    case .force: "a forced election"
    case .pause: "a pause"
    case .resume: "the end of a pause"
    }
  }

  /// From now on there must be a leader soon, and then always.
  mutating func endFaults() {
    trace("the faults end")
    faultsAreOn = false
    for index in nodes.indices {
      nodes[index].cutUntil = 0
      resumeProcess(index)
      start(index)
    }
    for delay in [0, lease / 50, lease / 4] { plan(.endPause, after: delay) }
    plan(.leaderCheck, after: 0)
  }
}
