import ParallaxHA

/// The network, the store and everything that goes wrong.
extension ElectionSimulation {
  private mutating func halfRoundTrip() -> Double { 20e6 * random.between(0.2, 0.8) }

  /// How late a message comes that is delayed; none is later than the faults last.
  private mutating func delay() -> Double {
    min(random.between(0, mix.longestDelay * lease), Double(max(faultsEnd - now, 0)) + halfRoundTrip())
  }

  // MARK: Messages

  mutating func transmit(_ call: ElectionStateMachine.Call, from index: Int) {
    guard now >= nodes[index].cutUntil else { return }
    if faultsAreOn, random.happens(mix.losesRequest) { return trace("(request lost)") }
    let isDelayed = faultsAreOn && random.happens(mix.delaysRequest)
    plan(.request(index, epoch: nodes[index].epoch, call), after: isDelayed ? delay() : halfRoundTrip())
  }

  mutating func carryOut(_ call: ElectionStateMachine.Call, of index: Int, epoch: Int) {
    let reply: ElectionStateMachine.Reply
    if let record = call.record {
      if call.purpose == .release, nodes[index].duties?.term == record.term, nodes[index].epoch == epoch,
        store.snapshot?.version == call.expecting
      {
        found.append(.releasedBeforeJoin)
      }
      let wasHeld = store.snapshot?.record.leader != nil
      let isUnconditional = call.purpose == .release && rules.defect == .releaseWithoutCompare
      let version = store.compareAndSet(record, expecting: call.expecting, isUnconditional: isUnconditional, violations: &found)
      if let version {
        if isTraced { trace("store takes \(call.purpose) \(Self.summary(of: record))") }
        if call.purpose == .acquire {
          store.countGrant(record.fence, violations: &found)
          if wasHeld { report.longestTakeover = max(report.longestTakeover, .nanoseconds(now - lastHolderWrite)) }
        }
        if record.leader != nil { lastHolderWrite = now }
        hint(ElectionSnapshot(record: record, version: version))
        reply = .written(version)
      } else {
        if isTraced {
          trace(
            "store refuses \(call.purpose) of \(record.incarnation), has \(store.snapshot.map { Self.summary(of: $0.record) } ?? "nothing")"
          )
        }
        reply = .conflict(store.snapshot)
      }
    } else {
      reply = .read(store.snapshot)
    }
    if faultsAreOn, random.happens(mix.losesReply) { return trace("(reply lost)") }
    let isDelayed = faultsAreOn && random.happens(mix.delaysReply)
    let travel = isDelayed ? delay() : halfRoundTrip()
    guard now >= nodes[index].cutUntil else { return }
    plan(.deliver(index, epoch: epoch, .reply(call.id, reply)), after: travel)
  }

  private mutating func hint(_ snapshot: ElectionSnapshot) {
    for index in nodes.indices {
      if faultsAreOn, random.happens(mix.losesHint) { continue }
      let copies = faultsAreOn && random.happens(mix.repeatsHint) ? 2 : 1
      for copy in 0..<copies {
        let isLate = faultsAreOn && (copy > 0 || random.happens(mix.delaysHint))
        let travel = isLate ? delay() : halfRoundTrip()
        guard now >= nodes[index].cutUntil else { continue }
        plan(.deliver(index, epoch: nodes[index].epoch, .hint(snapshot)), after: travel)
      }
    }
  }

  // MARK: Faults

  mutating func cause(_ fault: Fault) {
    let index = random.index(below: nodes.count)
    let length = random.fraction()
    let left = Double(max(faultsEnd - now, 0))
    switch fault {
    case .pause:
      guard nodes[index].isAlive, !nodes[index].isPaused else { return }
      nodes[index].isPaused = true
      nodes[index].wasPausedInTerm = true
      if isTraced { trace("\(nodes[index].session) is paused") }
      plan(.resumeProcess(index, epoch: nodes[index].epoch), after: min(length * mix.longestPause * lease, left))
    case .crash:
      guard nodes[index].isAlive else { return }
      if mix.sparesStandbys, nodes[index].machine.lease == nil { return }
      if mix.sparesLeader, nodes[index].machine.lease != nil || Double(now) < lease * 2 { return }
      stopProcess(index)
      plan(.start(index), after: min(random.happens(0.5) ? 50e6 : length * 1.5 * lease, left))
    case .cut:
      nodes[index].cutUntil = now + Int64(min(length * 1.5 * lease, left))
      if isTraced { trace("\(nodes[index].session) is cut off") }
    case .resign:
      guard nodes[index].isAlive, !nodes[index].isPaused else { return }
      handle(.resign, on: index)
    case .unfit:
      guard nodes[index].isAlive, !nodes[index].isPaused else { return }
      plan(.deliver(index, epoch: nodes[index].epoch, .eligibility(true)), after: min(length * lease, left))
      handle(.eligibility(false), on: index)
    case .loseData:
      guard Double(now - lastLoss) >= mix.shortestTimeBetweenLosses * lease, store.snapshot != nil else { return }
      if mix.expectsNoTransition, Double(now) < lease * 2 { return }
      lastLoss = now
      store.loseData()
      if isTraced { trace("the store loses its data") }
    case .failOver:
      store.failOver(by: 1 + random.index(below: 4))
      if isTraced { trace("the store fails over to \(store.snapshot.map { Self.summary(of: $0.record) } ?? "nothing")") }
    case .operate:
      operate(on: index)
    }
  }

  private mutating func operate(on target: Int) {
    guard !mix.operationKinds.isEmpty else { return }
    let command: ElectionCommand
    switch mix.operationKinds[random.index(below: mix.operationKinds.count)] {
    case .stepDown: command = .stepDown(to: nil)
    case .stepDownTo: command = .stepDown(to: nodes[target].session.nodeID)
    case .elect: command = .elect
    case .force: command = .force
    case .pause: command = store.snapshot?.record.isPaused == true ? .resume : .pause
    }
    if command == .pause, !faultsAreOn { return }
    plan(.operatorWrites(command, store.snapshot), after: halfRoundTrip() + halfRoundTrip())
  }

  mutating func operatorWrites(_ command: ElectionCommand, over snapshot: ElectionSnapshot?) {
    let next = try? command.apply(
      to: snapshot?.record, id: "request-\(report.events)", clusterID: "own", timings: mix.timings, rules: rules)
    guard let next else { return }
    guard let version = store.compareAndSet(next, expecting: snapshot?.version, violations: &found) else { return }
    if isTraced { trace("an operator writes \(command): \(Self.summary(of: next))") }
    hint(ElectionSnapshot(record: next, version: version))
  }

  /// From here on there has to be a leader soon, and then always.
  mutating func endFaults() {
    if isTraced { trace("the faults end") }
    faultsAreOn = false
    for index in nodes.indices {
      nodes[index].cutUntil = 0
      resumeProcess(index)
      start(index)
    }
    for delay in [0, lease / 50, lease / 4] { plan(.endPause, after: delay) }
    plan(.look, after: 0)
  }
}
