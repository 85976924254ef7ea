import Logging
import ParallaxAPI
import ParallaxHA
import ParallaxState
import Synchronization

/// A piece of work for the store.
enum StoreJob: Sendable {
  case create(StoredExecution)
  case update(ExecutionChange)
  case restore(StoredExecution)
  case release(String, owner: NodeSession)
  case register(AgentSessionMachine.Registration, knownEpoch: Int64, AgentSession)
  case agentChanged(String, epoch: Int64, capabilities: [String]?, limit: Int?)
  case agentVanished(String, epoch: Int64)
  case agentGone(String, epoch: Int64)
  case record(TaskRecord, execution: String, messageID: String?)
  case read(String)
  case claim(String, from: NodeSession, cancels: Bool)
  case unlist(String)
  case checkAgent(String)
}

extension Dispatcher {
  /// Does a piece of work; changes of executions are repeated until the store has taken or refused them.
  func perform(_ job: StoreJob) async {
    switch job {
    case .create(let stored): await create(stored)
    case .update(let change): await update(change)
    case .restore(let stored): await restore(stored)
    case .release(let id, let owner): await repeating("release of an execution") { try await store.release(id, owner: owner) }
    case .register(let registration, let knownEpoch, let session): await register(registration, knownEpoch, session)
    case .agentChanged(let id, let epoch, let capabilities, let limit):
      await change(agent: id, epoch: epoch) { record in
        if let capabilities { record.capabilities = capabilities }
        if let limit { record.maxConcurrentTasks = limit }
      }
    case .agentVanished(let id, let epoch): await change(agent: id, epoch: epoch) { $0.isConnected = false }
    case .agentGone(let id, let epoch):
      await repeating("removal of an agent") { try await store.removeAgent(id, epoch: epoch, session: session) }
    case .record(let outcome, let execution, let id): await record(outcome, of: execution, id)
    case .read(let id): await read(id)
    case .claim(let id, let owner, let cancels): await claim(id, from: owner, cancels: cancels)
    case .unlist(let id): await repeating("removal of an entry") { try await store.unlist(id, from: session) }
    case .checkAgent(let id): await checkAgent(id)
    }
  }

  private func create(_ stored: StoredExecution) async {
    let execution = stored.execution
    let id = execution.id
    await repeating("creation of an execution") {
      let outcome: UpdateOutcome =
        switch try await store.create(stored) {
        case .created: .applied
        case .exists: .stale
        case .barred: .missing
        }
      writeFinished(execution, outcome)
    } onUnreadable: {
      writeFinished(execution, .stale)
    } onFirstFailure: { error in
      let reason = (error as? StateStoreError).flatMap { $0.code == .unwritable ? $0.message : nil }
      let refusal = APIError(
        .notReady, "\(reason ?? "the node's store did not take the execution"); repeat with an idempotencyKey", details: nil)
      handle { machine, now in machine.creationDelayed(id, error: refusal, at: now) }
    }
  }

  private func update(_ change: ExecutionChange) async {
    await repeating("change of an execution") {
      let outcome = try await store.update(change)
      if outcome == .stale { noteOtherOwner(of: change.id) }
      handle { machine, now in machine.writeFinished(change.id, epoch: change.epoch, revision: change.revision, outcome, at: now) }
    } onUnreadable: {
      handle { machine, now in machine.writeFinished(change.id, epoch: change.epoch, revision: change.revision, .stale, at: now) }
    }
  }

  /// A write of a whole execution has ended.
  func writeFinished(_ execution: Execution, _ outcome: UpdateOutcome) {
    handle { machine, now in
      machine.writeFinished(execution.id, epoch: execution.epoch, revision: execution.revision, outcome, at: now)
    }
  }

  private func register(_ registration: AgentSessionMachine.Registration, _ knownEpoch: Int64, _ session: AgentSession) async {
    let record = AgentRecord(
      id: registration.agentID, name: registration.name, capabilities: registration.capabilities,
      maxConcurrentTasks: registration.limit, metadata: registration.metadata, session: self.session, epoch: knownEpoch,
      connectedAt: clock.now.wall, activeTasks: registration.activeTasks)
    do {
      session.registrationEnded(.success(try await store.register(record)))
    } catch {
      storeFailed("registration of an agent", error)
      session.registrationEnded(.failure(error))
      // It may have been stored all the same.
      add(.checkAgent(registration.agentID))
    }
  }

  /// How long a registration that is stored may take to be known here.
  private static let registrationDelay = Duration.seconds(5)

  /// Takes an agent off the store that is listed for this node and not connected here, as the others give it work.
  private func checkAgent(_ id: String) async {
    var found: Int64?
    await repeating("check of an agent") { found = try await ghost(id) }
    guard let found, (try? await Task.sleep(for: Self.registrationDelay)) != nil else { return }
    await repeating("removal of an agent") {
      guard try await ghost(id) == found else { return }
      try await store.removeAgent(id, epoch: found, session: session)
      handle { _, _ in [.publish(.left(id, epoch: found, graceful: true))] }
    }
  }

  /// The epoch under which an agent is registered at this node without being known here; nil if it is not.
  private func ghost(_ id: String) async throws -> Int64? {
    guard let record = try await store.agent(id), record.session == session else { return nil }
    let known = inspect { $0.agent(id) }
    return (known?.epoch ?? 0) >= record.epoch ? nil : record.epoch
  }

  private func change(agent id: String, epoch: Int64, _ edit: (inout AgentRecord) -> Void) async {
    await repeating("change of an agent") {
      guard var record = try await store.agent(id), record.epoch == epoch else { return }
      edit(&record)
      _ = try await store.update(record)
    }
  }

  /// Records an outcome for an execution that this node does not drive, tells the owner, and acknowledges it, as a late one is too, so that
  /// the agent forgets it; one that was never asked for is an error.
  private func record(_ outcome: TaskRecord, of execution: String, _ messageID: String?) async {
    await repeating("record of an outcome") {
      let answer: ControlPlaneMessage
      switch try await recordAndTell(outcome, of: execution) {
      case .recorded, .alreadyRecorded:
        recorded(RecentWrites.Outcome(task: outcome, execution: execution))
        answer = .resultAck(ControlPlaneMessage.ResultAck(taskId: outcome.id))
      case .unknown where mayBeRestoring: throw StateStoreError(.unavailable, "its execution may be about to be restored")
      case .unknown:
        answer = .error(
          ControlPlaneMessage.ProtocolError(
            code: "UNKNOWN_TASK", message: "this agent never got the task \(outcome.id.prefix(128))"))
      }
      handle { _, _ in [.send(answer, to: outcome.agentID, inAnswerTo: messageID)] }
    }
  }

  /// Records an outcome, and tells the owner of an execution that goes on.
  func recordAndTell(_ outcome: TaskRecord, of execution: String) async throws -> RecordOutcome {
    let result = try await store.record(outcome, of: execution)
    switch result {
    case .recorded(let owner), .alreadyRecorded(let owner, terminal: false):
      // A repeat tells the owner again: whoever recorded it first may have died before it did.
      if owner == session {
        outcomeRecorded(of: execution)
      } else {
        peers.tell(.recorded(execution: execution, task: outcome.id), owner)
      }
    case .alreadyRecorded(_, terminal: true), .unknown: break
    }
    return result
  }

  private func read(_ id: String) async {
    await repeating("read of an execution") {
      let stored = try await store.execution(id)
      handle { machine, now in machine.executionRead(id, stored, at: now) }
    } onUnreadable: {
      handle { machine, _ in machine.readFailed(id) }
    }
  }

  /// Takes over an execution that its owner gives away, or that this node owns and does not drive.
  private func claim(_ id: String, from owner: NodeSession, cancels: Bool) async {
    await repeating("claim of an execution") {
      // Its owner lives: what is not in the store it may be about to restore.
      let stored = try await store.claim(id, from: owner, isGone: false, to: session)
      handle { machine, now in machine.claimFinished(id, from: owner, stored, cancels: cancels, at: now) }
    }
  }

  // MARK: Failures

  /// Repeats until it succeeds or the task is cancelled: what is to be written is known nowhere else.
  func repeating(
    _ what: String, _ work: () async throws -> Void, onUnreadable: () -> Void = {}, onFirstFailure: (any Error) -> Void = { _ in }
  ) async {
    var delay = Duration.milliseconds(50)
    var isFirst = true
    while true {
      do {
        try await work()
        return storeServed()
      } catch let error as StateStoreError where error.code == .unreadable {
        // Written by a newer version: a node of that version goes on with it.
        logger.warning("left alone what this version cannot read", metadata: ["operation": "\(what)", "error": "\(error)"])
        return onUnreadable()
      } catch {
        if isFirst {
          storeFailed(what, error)
          onFirstFailure(error)
        }
        isFirst = false
      }
      do {
        try await Task.sleep(for: delay * Double.random(in: 0.5...1), clock: .continuous)
      } catch {
        return
      }
      delay = min(delay * 2, .seconds(2))
    }
  }

  private func storeFailed(_ what: String, _ error: any Error) {
    logger.debug("the store failed", metadata: ["operation": "\(what)", "error": "\(error)"])
    guard (error as? StateStoreError)?.code == .refused, !isRefused.exchange(true, ordering: .relaxed) else { return }
    logger.warning("the store refuses what this node writes", metadata: ["operation": "\(what)", "error": "\(error)"])
  }

  /// A refusal is told once, and so is its end.
  private func storeServed() {
    guard isRefused.load(ordering: .relaxed), isRefused.exchange(false, ordering: .relaxed) else { return }
    logger.notice("the store takes what this node writes again")
  }
}
