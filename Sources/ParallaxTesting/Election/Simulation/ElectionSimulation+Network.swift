import ParallaxHA

/// The messages between nodes and store.
extension ElectionSimulation {
  /// The travel time of an undisturbed message; a round trip takes 20 ms on average.
  private func travel(_ kind: SimulationFault.Kind, _ index: Int, _ number: UInt64) -> Double {
    guard !isSteady else { return 10e6 }
    var draws = chance.draws(for: kind, node: index, number: number, part: 1)
    return 20e6 * draws.between(0.2, 0.8)
  }

  /// The delay of a delayed message, which ends with the faults at the latest.
  private func delay(_ draws: inout SimulationRandom) -> Double {
    min(draws.between(0, mix.longestDelay * lease), Double(max(faultsEnd - now, 0)) + 12e6)
  }

  /// Calls are numbered across the lives of a node.
  private func number(_ call: ElectionStateMachine.Call, of index: Int, epoch: Int) -> UInt64 { UInt64(epoch) << 32 | call.id }

  mutating func transmit(_ call: ElectionStateMachine.Call, from index: Int) {
    let epoch = nodes[index].epoch
    let request = Event.request(index, epoch: epoch, call)
    switch call.record == nil ? nodes[index].requests : nodes[index].writes {
    case .open: break
    case .lost: return
    case .held: return nodes[index].held.append(request)
    case .failing: return plan(.deliver(index, epoch: epoch, .reply(call.id, .failed)), after: 10e6)
    }
    guard now >= nodes[index].cutUntil else { return }
    let number = number(call, of: index, epoch: epoch)
    var way = travel(.lateRequest, index, number)
    if faultsAreOn {
      if chance.strikes(.lostRequest, node: index, number: number, probability: mix.losesRequest) != nil {
        if isTraced { trace("(the \(call.purpose) of \(nodes[index].name) gets lost)", isDetail: true) }
        return
      }
      if var draws = chance.strikes(.lateRequest, node: index, number: number, probability: mix.delaysRequest) { way = delay(&draws) }
    }
    plan(request, after: way)
  }

  /// Executes a call at the store, and sends the answer.
  mutating func carryOut(_ call: ElectionStateMachine.Call, of index: Int, epoch: Int) {
    let reply: ElectionStateMachine.Reply
    if store.isUnreadable {
      reply = .unreadable
    } else if let record = call.record {
      reply = write(record, by: call, of: index, epoch: epoch)
    } else {
      reply = .read(store.snapshot)
    }
    guard nodes[index].epoch == epoch else { return }
    let delivery = Event.deliver(index, epoch: epoch, .reply(call.id, reply))
    switch nodes[index].replies {
    case .open: break
    case .lost, .failing: return
    case .held: return nodes[index].held.append(delivery)
    }
    let number = number(call, of: index, epoch: epoch)
    var way = travel(.lateReply, index, number)
    if faultsAreOn {
      if chance.strikes(.lostReply, node: index, number: number, probability: mix.losesReply) != nil {
        if isTraced { trace("(the answer to the \(call.purpose) of \(nodes[index].name) gets lost)", isDetail: true) }
        return
      }
      if var draws = chance.strikes(.lateReply, node: index, number: number, probability: mix.delaysReply) { way = delay(&draws) }
    }
    guard now >= nodes[index].cutUntil else { return }
    plan(delivery, after: way)
  }

  private mutating func write(
    _ record: ElectionRecord, by call: ElectionStateMachine.Call, of index: Int, epoch: Int
  ) -> ElectionStateMachine.Reply {
    if call.purpose == .release, nodes[index].duties?.term == record.term, nodes[index].epoch == epoch,
      store.snapshot?.version == call.expecting
    {
      found.append(.releasedBeforeJoin)
    }
    let name = nodes[index].name
    let wasHeld = store.snapshot?.record.leader != nil
    let isUnconditional = defect.isUnconditional(call)
    let version = store.compareAndSet(record, expecting: call.expecting, isUnconditional: isUnconditional, violations: &found)
    guard let version else {
      if isTraced { trace("the store refuses the \(call.purpose) of \(name)", isDetail: call.purpose == .renew) }
      return .conflict(store.snapshot)
    }
    if isTraced { trace("the store takes the \(call.purpose) of \(name) \(Self.summary(of: record))", isDetail: call.purpose == .renew) }
    if call.purpose == .acquire, nodes[index].epoch != epoch { expectRelease(of: record.incarnation) }
    if call.purpose == .acquire {
      store.countGrant(record.fencingToken, violations: &found)
      if wasHeld { report.longestTakeover = max(report.longestTakeover, .nanoseconds(now - lastHolderWrite)) }
    }
    if record.leader != nil { lastHolderWrite = now }
    hint(ElectionSnapshot(record: record, version: version))
    return .written(version)
  }

  mutating func hint(_ snapshot: ElectionSnapshot) {
    let number = store.writeCount
    for index in nodes.indices where nodes[index].isAlive && now >= nodes[index].cutUntil {
      let delivery = Event.deliver(index, epoch: nodes[index].epoch, .hint(snapshot))
      switch nodes[index].hints {
      case .open: break
      case .lost, .failing: continue
      case .held:
        nodes[index].held.append(delivery)
        continue
      }
      var way = travel(.lateHint, index, number)
      if faultsAreOn {
        if chance.strikes(.lostHint, node: index, number: number, probability: mix.losesHint) != nil { continue }
        if var draws = chance.strikes(.repeatedHint, node: index, number: number, probability: mix.repeatsHint) {
          plan(delivery, after: delay(&draws))
        }
        if var draws = chance.strikes(.lateHint, node: index, number: number, probability: mix.delaysHint) { way = delay(&draws) }
      }
      plan(delivery, after: way)
    }
  }
}
