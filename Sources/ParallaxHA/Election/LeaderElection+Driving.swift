import Logging
import ParallaxConcurrency
import Synchronization

/// The shell around the state machine: store and timers.
extension LeaderElection {
  /// Calls that do not end in spite of their cancellation; more of them would only pile up.
  private static var maximumRunningCalls: Int { 16 }

  /// Adds one who runs the election, and starts the driver for the first.
  ///
  /// The driver is a task of its own, because releasing a lease is what there is to do after a caller's cancellation, and because it serves
  /// whoever runs the election, in whatever order they come and go. The last of them awaits it.
  func enter() {
    update { state in
      state.users += 1
      return startDriving(&state)
    }
  }

  /// Starts the driver, unless it runs already.
  ///
  /// The machine starts in the same step, so that whoever resigns next finds it started and is not forgotten when it starts.
  private func startDriving(_ state: inout State) -> [ElectionStateMachine.Event] {
    guard state.driver == nil else { return [] }
    state.outgoing = []
    state.driver = Task { await self.drive() }
    return [.start]
  }

  /// Ends the driver if nobody else runs the election.
  func exit() async {
    var driver: Task<Void, Never>?
    update { state in
      state.users -= 1
      guard state.users == 0 else { return [] }
      state.isLeaving = true
      driver = state.driver
      return [.resign]
    }
    await driver?.value
  }

  private func drive() async {
    // Before the first read: what is written after that read is hinted at.
    let changes = store.changes()
    await withDiscardingTaskGroup { group in
      group.addTask { await self.listenForHints(changes) }
      while let (calls, wakeUp) = nextStep() {
        for call in calls { group.addTask { await self.perform(call) } }
        do {
          guard let wakeUp else {
            try await alarm.wait()
            continue
          }
          if wakeUp <= elapsed { process(.timer) } else { _ = try await alarm.wait(until: origin.advanced(by: wakeUp), on: clock) }
        } catch {
          break
        }
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

  /// Whether nothing happens on this node until time passes or a hint comes; for tests on a manual clock.
  ///
  /// - Parameter isHung: Whether a call that is under way does not count, since its store does not answer.
  /// - Returns: `false` while a call, the end of duties or news for observers is awaited.
  package func isWaiting(inHungCall isHung: Bool = false) -> Bool {
    state.withLock { state in
      guard state.outgoing.isEmpty, state.campaign?.pending == nil, !state.isTelling else { return false }
      return state.machine.isWaiting(at: elapsed, inHungCall: isHung)
    }
  }

  /// When the node does something by itself next; for tests on a manual clock.
  package var nextWakeUp: ElectionClock.Instant? {
    state.withLock { state in
      state.driver == nil ? nil : state.machine.wakeUp.map { origin.advanced(by: $0) }
    }
  }

  private func endDriving() {
    var waiters: [CheckedContinuation<Void, Never>] = []
    update { state in
      state.isLeaving = false
      state.driver = nil
      // Somebody came while the driver was leaving.
      guard state.users == 0 else { return startDriving(&state) }
      let (observers, watchers) = (Array(state.observers.values), Array(state.watchers.values))
      state.news.append {
        for observer in observers { observer.finish() }
        for watcher in watchers { watcher.finish() }
      }
      waiters = state.settling + state.resigning
      state.settling = []
      state.resigning = []
      return []
    }
    for waiter in waiters { waiter.resume() }
  }

  private func listenForHints(_ first: Store.Changes) async {
    var changes = first
    while !Task.isCancelled {
      do {
        for try await snapshot in changes { process(.hint(snapshot)) }
        return
      } catch {
        logger.debug("hints of the election store ended; subscribing again", metadata: ["error": "\(error)"])
      }
      try? await clock.sleep(for: configuration.timings.retryPeriod)
      changes = store.changes()
    }
  }

  // MARK: Calls

  private func perform(_ call: ElectionStateMachine.Call) async {
    let outcome = await race {
      await self.reply(to: call)
    } until: {
      try await self.clock.sleep(for: self.configuration.timings.callTimeout)
    } onInterruption: {
      // A store that ignores its cancellation must not delay the outcome.
      process(.reply(call.id, .failed))
    }
    if !outcome.isInterrupted { process(.reply(call.id, (try? outcome.result.get()) ?? .failed)) }
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
