import CoreMetrics
import Logging
import ParallaxConcurrency
import Synchronization

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// The events of the state machine, and the effects of its actions.
extension LeaderElection {
  /// The time since the election was created.
  var elapsed: Duration { origin.duration(to: clock.now) }

  /// Passes an event to the machine and performs the actions.
  func process(_ event: ElectionStateMachine.Event) {
    update { _ in [event] }
  }

  /// Changes the state and passes the resulting events to the machine in one step; then performs the actions.
  ///
  /// No task is resumed under the lock: resuming waits for the cancellation handlers of a task that is being cancelled, and those may need
  /// the lock, for example for the election's status.
  func update(_ change: (inout State) -> [ElectionStateMachine.Event]) {
    var effects = Effects()
    state.withLock { state in
      var events = change(&state)
      while let event = events.popLast() {
        // Read under the lock, so that the machine's instants never go back.
        let now = ElectionStateMachine.Moment(instant: elapsed, wall: Date())
        for action in state.machine.handle(event, at: now) {
          if apply(action, to: &state, &effects) { events.append(.dutiesJoined) }
        }
        if let leader = show(&state, at: now.instant) { effects.leader = leader }
      }
      let current = state.machine.lease
      lease.withLock { $0 = current }
      if state.machine.isSettled {
        effects.continuations += state.settling
        state.settling = []
      }
    }
    for wakeUp in effects.wakeUps { wakeUp.signal() }
    for continuation in effects.continuations { continuation.resume() }
    publish()
    for notice in effects.notices { report(notice) }
    if let leader = effects.leader {
      logger.info(
        "another node leads",
        metadata: ["leader": "\(leader.id)", "term": "\(leader.term)", "address": "\(leader.address ?? "unknown")"])
    }
    alarm.signal()
  }

  private struct Effects {
    var notices: [ElectionNotice] = []
    var leader: OtherLeader?
    var wakeUps: [WakeUp] = []
    var continuations: [CheckedContinuation<Void, Never>] = []
  }

  /// Performs an action.
  ///
  /// - Returns: Whether the action ends duties that had not begun.
  private func apply(_ action: ElectionStateMachine.Action, to state: inout State, _ effects: inout Effects) -> Bool {
    switch action {
    case .send(let call):
      state.outgoing.append(call)
    case .beginTerm(let token):
      guard let wake = state.campaign?.wake else { return false }
      state.campaign?.pending = (token, WakeUp())
      effects.wakeUps.append(wake)
    case .endTerm:
      state.campaign?.pending = nil
      guard let stop = state.campaign?.stop else { return true }
      effects.wakeUps.append(stop)
    case .notice(let notice):
      effects.notices.append(notice)
      if case .dutiesStuck = notice { finishResigning(&state, &effects) }
    case .resigned:
      finishResigning(&state, &effects)
      // A campaign that begins while the driver is ending belongs to the next driver.
      guard !state.isLeaving, let wake = state.campaign?.wake else { return false }
      state.campaign?.isOver = true
      effects.wakeUps.append(wake)
    }
    return false
  }

  private func finishResigning(_ state: inout State, _ effects: inout Effects) {
    effects.continuations += state.resigning
    state.resigning = []
  }

  /// Shows the state to its observers.
  ///
  /// - Returns: The leader, if it is another node than before, and not this one.
  private func show(_ state: inout State, at instant: Duration) -> OtherLeader? {
    if !state.watchers.isEmpty, let record = state.machine.lastRecord {
      let watchers = Array(state.watchers.values)
      state.deliveries.append { for watcher in watchers { watcher.yield(record) } }
    }
    let current = state.machine.status(at: instant)
    guard current.withoutDurations != state.shown else { return nil }
    let former = state.shown
    state.shown = current.withoutDurations
    let observers = Array(state.observers.values)
    state.deliveries.append { for observer in observers { observer.yield(current) } }
    guard let leader = current.leader, leader != session.nodeID, leader != former?.leader || current.term != former?.term else {
      return nil
    }
    return OtherLeader(id: leader, term: current.term, address: current.leaderAddress)
  }

  /// Delivers statuses and records outside the lock, in order: a second caller leaves its deliveries to the caller that is delivering.
  private func publish() {
    var isDelivering = false
    while true {
      let due: [@Sendable () -> Void] = state.withLock { state in
        guard isDelivering || !state.isDelivering else { return [] }
        state.isDelivering = !state.deliveries.isEmpty
        defer { state.deliveries = [] }
        return state.deliveries
      }
      guard !due.isEmpty else { return }
      isDelivering = true
      for deliver in due { deliver() }
    }
  }

  private func report(_ notice: ElectionNotice) {
    switch notice {
    case .elected(let token, let takeover):
      logger.info("this node leads", metadata: ["term": "\(token.term)", "cause": "\(takeover.cause)"])
      guard takeover.cause != .bootstrap else { return }
      Timer(label: "parallax_ha_takeover_seconds", dimensions: [("cause", takeover.cause.rawValue)])
        .recordSeconds(takeover.silence / .seconds(1))
    case .ended(let token, let end):
      let level: Logger.Level = end.isVoluntary ? .info : .warning
      logger.log(level: level, "this node stops leading", metadata: ["term": "\(token.term)", "reason": "\(end)"])
    case .released(let token):
      logger.info("the lease is released", metadata: ["term": "\(token.term)"])
    case .dutiesStuck(let token):
      logger.error(
        "duties of an ended term ignore their cancellation; the lease is left to expire", metadata: ["term": "\(token.term)"])
      onStuckDuties?(token)
    case .twin(let incarnation, let address):
      logger.error(
        "another process leads under this node's id; give each process an id of its own",
        metadata: ["incarnation": "\(incarnation)", "address": "\(address ?? "unknown")"])
    case .foreignCluster(let clusterID):
      logger.error(
        "the election record belongs to another cluster; this node does not campaign",
        metadata: ["found": "\(clusterID)", "own": "\(configuration.clusterID)"])
    case .unreadableRecord:
      logger.error("the election record cannot be read; it is not overwritten, and this node does not campaign")
    case .storeFailed:
      logger.warning("the election store does not answer")
    case .storeAnswers:
      logger.info("the election store answers again")
    case .storeRefusesWrites(let reason):
      logger.warning("the election store refuses writes", metadata: ["reason": "\(reason)"])
    case .storeTakesWrites:
      logger.info("the election store takes writes again")
    }
  }
}

/// Another node that leads, for the log.
private struct OtherLeader {
  var id: String
  var term: Int64
  var address: String?
}
