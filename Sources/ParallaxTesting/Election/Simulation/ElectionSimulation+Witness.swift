import ParallaxHA

/// The witnesses of simulated processes: they know which have crashed.
extension ElectionSimulation {
  struct Witness {
    var notice: DeathNotice
    let timings: ElectionTimings
    let since: Int64
    /// The number of the call in progress: an answer to an earlier one counts for nothing.
    var call: UInt64 = 0
    /// Whether the network has lost or delayed a call, so that a late write of the dead may stay for longer.
    var isHindered = false
  }

  /// Starts the witness of a process, if it has one.
  mutating func witness(_ session: NodeSession, of index: Int, number: UInt64) {
    guard mix.witnesses > 0 else { return }
    var draws = chance.draws(for: .crash, number: number, part: 2)
    guard draws.happens(mix.witnesses) else { return }
    let delay = draws.between(5e6, 50e6)
    let timings = nodes[index].configuration.timings
    witnesses.append(Witness(notice: DeathNotice(of: session, timings: timings), timings: timings, since: now + Int64(delay)))
    if isTraced { trace("the witness of \(session.incarnation) knows of its end") }
    plan(.witnessActs(witnesses.count - 1), after: delay)
  }

  /// Takes the next step of a notice.
  mutating func witnessActs(_ index: Int) {
    let elapsed = Duration.nanoseconds(now - witnesses[index].since)
    if witnesses[index].notice.isSettled, !defect.looksAgain { return }
    guard let step = witnesses[index].notice.next(at: elapsed) else { return }
    if case .wait(let instant) = step { return plan(.witnessActs(index), after: Double((instant - elapsed).nanoseconds)) }
    witnesses[index].call += 1
    let number = witnesses[index].call
    plan(.witnessHears(index, number, .failed), after: Double(witnesses[index].timings.callTimeout.nanoseconds))
    guard let way = witnessTravel(.lostRequest, .lateRequest, index, mix.losesRequest, mix.delaysRequest) else { return }
    plan(.witnessCalls(index, number, step), after: way)
  }

  /// Executes a call of a witness at the store, and sends the answer.
  mutating func witnessCalls(_ index: Int, _ number: UInt64, _ step: DeathNotice.Step) {
    let answer: DeathNotice.Answer
    if store.isUnreadable {
      answer = .failed
    } else if case .release(let record, let version) = step {
      answer = release(defect.noticed(record), by: index, expecting: version)
    } else {
      answer = .found(defect.shown(store.snapshot, toWitnessOf: witnesses[index].notice.session))
    }
    guard let way = witnessTravel(.lostReply, .lateReply, index, mix.losesReply, mix.delaysReply) else { return }
    plan(.witnessHears(index, number, answer), after: way)
  }

  private mutating func release(_ record: ElectionRecord, by index: Int, expecting: ElectionVersion) -> DeathNotice.Answer {
    let before = store.snapshot?.record
    let version = store.compareAndSet(record, expecting: expecting, isUnconditional: defect.isNoticeBlind, violations: &found)
    guard let version else { return .found(store.snapshot) }
    if isTraced { trace("the store takes the notice about \(witnesses[index].notice.session.incarnation) \(Self.summary(of: record))") }
    if store.isLinearizable, let before, before.incarnation == record.incarnation, before.term != record.term {
      found.append(.termNotGranted)
    }
    hint(ElectionSnapshot(record: record, version: version))
    return .written
  }

  /// Takes an answer, or the time-out of a call.
  mutating func witnessHears(_ index: Int, _ number: UInt64, _ answer: DeathNotice.Answer) {
    guard witnesses[index].call == number else { return }
    witnesses[index].call += 1
    witnesses[index].notice.heard(answer, at: .nanoseconds(now - witnesses[index].since))
    witnessActs(index)
  }

  /// The travel time of a message; nil if it gets lost.
  private mutating func witnessTravel(
    _ loss: SimulationFault.Kind, _ delay: SimulationFault.Kind, _ index: Int, _ losing: Double, _ delaying: Double
  ) -> Double? {
    // The numbers of the nodes are smaller.
    let (node, number) = (1_000 + index, witnesses[index].call)
    if faultsAreOn {
      if chance.strikes(loss, node: node, number: number, probability: losing) != nil {
        witnesses[index].isHindered = true
        return nil
      }
      if var draws = chance.strikes(delay, node: node, number: number, probability: delaying) {
        witnesses[index].isHindered = true
        return min(draws.between(0, mix.longestDelay * lease), Double(max(faultsEnd - now, 0)) + 12e6)
      }
    }
    var draws = chance.draws(for: delay, node: node, number: number, part: 1)
    return 20e6 * draws.between(0.2, 0.8)
  }

  // MARK: Late writes of the dead

  /// A witness that is still looking releases what a late write of its process has acquired, unless the store has lost a later term that
  /// the witness has read.
  mutating func expectRelease(of incarnation: String) {
    guard let index = witnesses.firstIndex(where: { $0.notice.session.incarnation == incarnation }) else { return }
    let timings = witnesses[index].timings
    // A look that has begun just before, the next one, and its two calls.
    let limit = timings.retryPeriod + .milliseconds(150)
    guard .nanoseconds(now - witnesses[index].since) + limit < timings.leaseDuration else { return }
    plan(.releaseCheck(index), after: Double(limit.nanoseconds))
  }

  mutating func checkRelease(_ index: Int) {
    guard !witnesses[index].isHindered, !store.isUnreadable, let record = store.snapshot?.record, record.leader != nil,
      record.incarnation == witnesses[index].notice.session.incarnation, !witnesses[index].notice.isRolledBack(record)
    else { return }
    found.append(.deadHolder)
  }
}
