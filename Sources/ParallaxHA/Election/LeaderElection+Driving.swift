import Logging
import Synchronization

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// The shell around the state machine: clock, store and timers.
extension LeaderElection {
  /// Calls that do not end in spite of their cancellation; more of them would only pile up.
  private static var maximumRunningCalls: Int { 16 }

  /// How long the clock has gone since the election was made.
  var elapsed: Duration { origin.duration(to: clock.now) }

  // MARK: Events

  /// Hands an event to the machine and does what follows from it.
  func process(_ event: ElectionStateMachine.Event) {
    var effects = Effects()
    state.withLock { state in
      var events = [event]
      while let event = events.popLast() {
        // Read under the lock: the machine is never told of an earlier instant than before.
        let now = ElectionStateMachine.Moment(instant: elapsed, wall: Date())
        for action in state.machine.handle(event, at: now) {
          if apply(action, to: &state, &effects) { events.append(.dutiesJoined) }
        }
        show(&state, at: now.instant)
      }
      let current = state.machine.lease
      lease.withLock { $0 = current }
      if state.machine.isSettled {
        effects.continuations += state.settling
        state.settling = []
      }
    }
    for continuation in effects.continuations { continuation.resume() }
    for notice in effects.notices { report(notice) }
    alarm.ring()
  }

  private struct Effects {
    var notices: [ElectionNotice] = []
    var continuations: [CheckedContinuation<Void, Never>] = []
  }

  /// Performs an action; whether the duties that it ends had not begun.
  private func apply(_ action: ElectionStateMachine.Action, to state: inout State, _ effects: inout Effects) -> Bool {
    switch action {
    case .send(let call):
      state.outgoing.append(call)
    case .beginTerm(let fence):
      state.campaign?.pending = (fence, Signal())
      state.campaign?.wake.ring()
    case .endTerm:
      let hadBegun = state.campaign?.stop != nil
      state.campaign?.stop?.ring()
      state.campaign?.pending = nil
      return !hadBegun
    case .notice(let notice):
      effects.notices.append(notice)
      if case .dutiesStuck = notice { finishResigning(&state, &effects) }
    case .resigned:
      finishResigning(&state, &effects)
      // While the driver leaves, a campaign can only be one that came just now: the next driver serves it.
      guard !state.isLeaving else { return false }
      state.campaign?.isOver = true
      state.campaign?.wake.ring()
    }
    return false
  }

  private func finishResigning(_ state: inout State, _ effects: inout Effects) {
    effects.continuations += state.resigning
    state.resigning = []
  }

  private func show(_ state: inout State, at instant: Duration) {
    if !state.watchers.isEmpty, let record = state.machine.lastRecord {
      for watcher in state.watchers.values { watcher.yield(record) }
    }
    var status = state.machine.status(at: instant)
    let current = status
    status.leaseRemaining = nil
    status.staleFor = nil
    guard status != state.shown else { return }
    state.shown = status
    for observer in state.observers.values { observer.yield(current) }
  }

  private func report(_ notice: ElectionNotice) {
    switch notice {
    case .elected(let fence):
      logger.info("this node leads", metadata: ["term": "\(fence.term)"])
    case .ended(let fence, let end):
      let level: Logger.Level = end.isVoluntary ? .info : .warning
      logger.log(level: level, "this node stops leading", metadata: ["term": "\(fence.term)", "reason": "\(end)"])
    case .released(let fence):
      logger.info("the lease is released", metadata: ["term": "\(fence.term)"])
    case .dutiesStuck(let fence):
      logger.error(
        "duties of an ended term ignore their cancellation; the lease is left to expire", metadata: ["term": "\(fence.term)"])
      onStuckDuties?(fence)
    case .twin(let incarnation, let address):
      logger.error(
        "another process leads under this node's id; give each process an id of its own",
        metadata: ["incarnation": "\(incarnation)", "address": "\(address ?? "unknown")"])
    case .foreignCluster(let clusterID):
      logger.error(
        "the election record belongs to another cluster; this node does not campaign",
        metadata: ["found": "\(clusterID)", "own": "\(configuration.clusterID)"])
    case .unreadableRecord:
      logger.error("the election record cannot be read; it is left alone and this node does not campaign")
    case .storeFailed:
      logger.warning("the election store does not answer")
    case .storeAnswers:
      logger.info("the election store answers again")
    }
  }

  // MARK: Driving

  /// Starts the driver, unless it runs already.
  ///
  /// It is a task of its own, because releasing a lease is what there is to do after a caller's cancellation, and because it serves
  /// whoever runs the election, in whatever order they come and go. The last of them awaits it.
  func enter() {
    state.withLock { state in
      state.users += 1
      guard state.driver == nil else { return }
      state.driver = Task { await self.drive() }
    }
  }

  /// Ends the driver if nobody else runs the election.
  func exit() async {
    let driver = state.withLock { state -> Task<Void, Never>? in
      state.users -= 1
      guard state.users == 0 else { return nil }
      state.isLeaving = true
      return state.driver
    }
    guard let driver else { return }
    process(.resign)
    await driver.value
  }

  private func drive() async {
    await withDiscardingTaskGroup { group in
      group.addTask { await self.listenForHints() }
      process(.start)
      while let (calls, wakeUp) = nextStep() {
        for call in calls { group.addTask { await self.perform(call) } }
        if let wakeUp, wakeUp <= elapsed { process(.timer) } else { await sleep(until: wakeUp) }
      }
      group.cancelAll()
    }
    endDriving()
  }

  private func nextStep() -> ([ElectionStateMachine.Call], wakeUp: Duration?)? {
    state.withLock { state in
      if state.isLeaving, state.machine.isResigned { return nil }
      // What is not sent has an unknown outcome like what is lost: the machine's own time-out covers both.
      let room = max(Self.maximumRunningCalls - state.runningCalls, 0)
      let calls = Array(state.outgoing.prefix(room))
      state.outgoing = []
      state.runningCalls += calls.count
      return (calls, state.machine.wakeUp)
    }
  }

  private func endDriving() {
    let ended: State? = state.withLock { state in
      state.isLeaving = false
      // Somebody came while the driver was leaving.
      state.driver = state.users > 0 ? Task { await self.drive() } : nil
      guard state.driver == nil else { return nil }
      defer {
        state.settling = []
        state.resigning = []
        state.observers = [:]
        state.watchers = [:]
      }
      return state
    }
    guard let ended else { return }
    // Not under the lock: a stream that finishes takes itself off the list.
    for observer in ended.observers.values { observer.finish() }
    for watcher in ended.watchers.values { watcher.finish() }
    for waiter in ended.settling + ended.resigning { waiter.resume() }
  }

  private func sleep(until wakeUp: Duration?) async {
    guard let wakeUp else { return await alarm.wait() }
    await withTaskGroup(of: Void.self) { group in
      group.addTask { try? await self.clock.sleep(until: self.origin.advanced(by: wakeUp), tolerance: .zero) }
      group.addTask { await self.alarm.wait() }
      await group.next()
      group.cancelAll()
    }
  }

  private func listenForHints() async {
    while !Task.isCancelled {
      do {
        for try await snapshot in store.changes() { process(.hint(snapshot)) }
        return
      } catch {
        logger.debug("hints of the election store ended; subscribing again", metadata: ["error": "\(error)"])
      }
      try? await clock.sleep(for: configuration.timings.retryPeriod)
    }
  }

  // MARK: Calls

  private func perform(_ call: ElectionStateMachine.Call) async {
    await withTaskGroup(of: ElectionStateMachine.Reply.self) { group in
      group.addTask { await self.reply(to: call) }
      group.addTask {
        try? await self.clock.sleep(for: self.configuration.timings.callTimeout)
        return .failed
      }
      // Handed on before the group ends: a store that does not heed cancellation must not delay the outcome.
      process(.reply(call.id, await group.next() ?? .failed))
      group.cancelAll()
    }
    state.withLock { $0.runningCalls -= 1 }
  }

  private func reply(to call: ElectionStateMachine.Call) async -> ElectionStateMachine.Reply {
    do {
      guard let record = call.record else { return .read(try await store.read()) }
      switch try await store.compareAndSet(record, expecting: call.expecting) {
      case .written(let version): return .written(version)
      case .conflict(let snapshot): return .conflict(snapshot)
      }
    } catch let error as ElectionError where error.code == .unreadableRecord {
      logger.debug("\(error)")
      return .unreadable
    } catch {
      logger.debug("a call to the election store failed", metadata: ["purpose": "\(call.purpose)", "error": "\(error)"])
      return .failed
    }
  }
}
