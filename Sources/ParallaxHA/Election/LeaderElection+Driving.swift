import Logging
import ParallaxConcurrency
import Synchronization

/// The driver of the state machine: store calls and timers.
extension LeaderElection {
  /// The maximum number of concurrent calls: calls to a store that ignores cancellation must not accumulate.
  private static var maximumRunningCalls: Int { 16 }

  /// Adds a call of `observe()` or `campaign(_:)`, and starts the driver for the first.
  ///
  /// The driver is a task of its own, because a lease is released after its caller was cancelled, and because one driver serves all
  /// callers. The last caller to leave awaits the driver.
  func enter() {
    update { state in
      state.users += 1
      return startDriving(&state)
    }
  }

  /// Starts the driver, unless it runs.
  ///
  /// The machine starts in the same step: a later start would undo a resignation in between.
  private func startDriving(_ state: inout State) -> [ElectionStateMachine.Event] {
    guard state.driver == nil else { return [] }
    state.outgoing = []
    state.driver = Task { await self.drive() }
    return [.start]
  }

  /// Removes a caller, and ends the driver after the last.
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
    // Subscribed before the first read, so that a hint follows each write after that read.
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
      // A call that is not sent has an unknown outcome, like a lost one; the machine's time-out covers both.
      let room = max(Self.maximumRunningCalls - state.runningCalls, 0)
      let calls = Array(state.outgoing.prefix(room))
      state.outgoing = []
      state.runningCalls += calls.count
      return (calls, state.machine.wakeUp)
    }
  }

  /// Whether this node does nothing until time passes or a hint arrives; for tests with a manual clock.
  ///
  /// - Parameter isHung: Whether to ignore a call in progress, because its store does not answer.
  /// - Returns: `false` while a call, the end of duties or the delivery of a status is awaited.
  package func isWaiting(inHungCall isHung: Bool = false) -> Bool {
    state.withLock { state in
      guard state.outgoing.isEmpty, state.campaign?.pending == nil, !state.isDelivering else { return false }
      return state.machine.isWaiting(at: elapsed, inHungCall: isHung)
    }
  }

  /// Whether the record may name this node: it leads, or its release is not acknowledged.
  package var mayHoldRecord: Bool {
    state.withLock { $0.machine.mayHoldRecord }
  }

  /// The instant of this node's next action of its own; for tests with a manual clock.
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
      // A caller arrived while the driver was ending.
      guard state.users == 0 else { return startDriving(&state) }
      let (observers, watchers) = (Array(state.observers.values), Array(state.watchers.values))
      state.deliveries.append {
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
      // A store that ignores cancellation must not delay the outcome.
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
    } catch let error as ElectionError where error.code == .storeRefusesWrites {
      logger.debug("the election store refused a write", metadata: ["purpose": "\(call.purpose)", "error": "\(error)"])
      return .refused(reason: error.message)
    } catch {
      logger.debug("a call to the election store failed", metadata: ["purpose": "\(call.purpose)", "error": "\(error)"])
      return .failed
    }
  }
}
