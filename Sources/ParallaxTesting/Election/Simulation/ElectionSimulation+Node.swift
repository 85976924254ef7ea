import ParallaxHA

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// What a simulated process does: its clocks, its driver, its duties.
extension ElectionSimulation {
  /// What a node's continuous clock reads.
  func reading(of node: Node, at time: Int64) -> Double { node.offset + node.rate * Double(time) }

  /// How long it takes until a node's clock has gone a duration further.
  private func trueTime(for local: Double, on node: Node) -> Double { local / node.rate }

  mutating func start(_ index: Int) {
    guard !nodes[index].isAlive else { return }
    nodes[index].epoch += 1
    let epoch = nodes[index].epoch
    nodes[index].isAlive = true
    nodes[index].isPaused = false
    nodes[index].session.incarnation = "i\(index).\(epoch)"
    nodes[index].machine = ElectionStateMachine(session: nodes[index].session, configuration: nodes[index].configuration, rules: rules)
    nodes[index].duties = nil
    nodes[index].areDutiesEnding = false
    nodes[index].deferred = []
    nodes[index].plannedWake = .max
    if isTraced { trace("\(nodes[index].session) starts") }
    handle(.start, on: index)
    handle(.candidacy(true), on: index)
  }

  mutating func stopProcess(_ index: Int) {
    nodes[index].isAlive = false
    nodes[index].epoch += 1
    nodes[index].duties = nil
    if isTraced { trace("\(nodes[index].session) is gone") }
  }

  mutating func resumeProcess(_ index: Int) {
    guard nodes[index].isPaused else { return }
    nodes[index].isPaused = false
    if isTraced { trace("\(nodes[index].session) goes on") }
    let deferred = nodes[index].deferred
    nodes[index].deferred = []
    for event in deferred { queue.add(event, at: now) }
    nodes[index].plannedWake = .max
    planWake(index)
  }

  /// Does what the driver does: hands an event to the machine, performs the actions, sleeps until it wants to be woken.
  mutating func handle(_ event: ElectionStateMachine.Event, on index: Int) {
    let instant = reading(of: nodes[index], at: now)
    let wall = Date(timeIntervalSince1970: 1_700_000_000 + Double(now) / 1e9 + nodes[index].wallOffset)
    let actions = nodes[index].machine.handle(event, at: .init(instant: .nanoseconds(Int64(instant)), wall: wall))
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
      if isTraced { trace("\(nodes[index].session) sends \(call.purpose) \(call.record.map(Self.summary) ?? "")") }
      transmit(call, from: index)
    case .beginTerm(let fence):
      if isTraced { trace("\(nodes[index].session) leads term \(fence.term)") }
      if !begun.insert(fence).inserted { found.append(.revived) }
      nodes[index].duties = fence
      nodes[index].areDutiesStuck = random.happens(mix.stuckDuties)
      nodes[index].areDutiesEnding = false
      nodes[index].wasPausedInTerm = false
      for _ in 0..<3 { plan(.fencedWrite(fence), after: random.between(0, lease)) }
      checkDuties(beginningOn: index)
    case .endTerm(let fence, let end):
      if isTraced { trace("\(nodes[index].session) ends term \(fence.term): \(end)") }
      nodes[index].areDutiesEnding = true
      let budget = Double(nodes[index].configuration.timings.stopBudget.nanoseconds)
      let local = nodes[index].areDutiesStuck ? random.between(1, 2) * lease : random.between(0, budget)
      plan(.joined(index, epoch: nodes[index].epoch, fence), after: trueTime(for: local, on: nodes[index]))
    case .resigned:
      stopProcess(index)
      plan(.start(index), after: random.between(0, lease))
    case .notice(let notice):
      if isTraced { trace("\(nodes[index].session) reports \(notice)") }
    }
  }

  private mutating func planWake(_ index: Int) {
    guard nodes[index].isAlive, let wakeUp = nodes[index].machine.wakeUp else { return }
    // One nanosecond more, so that rounding never wakes a node before its time.
    let local = Double(wakeUp.nanoseconds) + 1 - reading(of: nodes[index], at: now)
    let time = now + max(Int64(trueTime(for: local, on: nodes[index])) + 1, 1)
    guard time != nodes[index].plannedWake else { return }
    nodes[index].wakeToken += 1
    nodes[index].plannedWake = time
    queue.add(.wake(index, epoch: nodes[index].epoch, token: nodes[index].wakeToken), at: time)
  }

  // MARK: Promises

  private func isValid(_ node: Node) -> Bool {
    guard node.isAlive, let lease = node.machine.lease else { return false }
    return Int64(reading(of: node, at: now)) < lease.validUntil.nanoseconds
  }

  private mutating func checkValidity(of index: Int) {
    guard mix.isLinearizable, isValid(nodes[index]) else { return }
    for other in nodes.indices where other != index && isValid(nodes[other]) { found.append(.overlap) }
  }

  private mutating func checkDuties(beginningOn index: Int) {
    guard mix.checksDuties else { return }
    for other in nodes.indices where other != index && nodes[other].duties != nil && !nodes[other].wasPausedInTerm {
      if !(nodes[other].areDutiesStuck && nodes[other].areDutiesEnding) { found.append(.dutyOutsideTerm) }
    }
  }

  mutating func checkForLeader() {
    if nodes.contains(where: { isValid($0) && !$0.isPaused }) {
      gapSince = nil
      return
    }
    let since = gapSince ?? now
    gapSince = since
    report.longestGap = max(report.longestGap, .nanoseconds(now - since))
    if report.longestGap > report.longestAllowedGap { found.append(.noLeader) }
  }

  /// A resource that guards itself by fences.
  mutating func write(with fence: Fence) {
    guard let accepted else {
      self.accepted = fence
      return
    }
    let isAdmitted = rules.defect == .fenceByTermAlone ? fence.term >= accepted.term : accepted.admits(fence)
    guard isAdmitted else { return }
    if fence.term < accepted.term || (fence.term == accepted.term && fence.incarnation != accepted.incarnation) {
      found.append(.staleWriteAccepted)
    }
    self.accepted = fence
  }

  static func summary(of record: ElectionRecord) -> String {
    var text = "[\(record.leader ?? (record.isPlaceholder ? "placeholder" : "released"))/\(record.incarnation)"
    text += " term \(record.term) renewal \(record.renewal) seq \(record.sequence)"
    if let request = record.request { text += " \(request.kind)" }
    if record.isPaused { text += " paused" }
    return text + "]"
  }
}
