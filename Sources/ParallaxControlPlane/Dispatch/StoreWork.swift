import Logging
import ParallaxAPI
import ParallaxHA
import ParallaxState

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
  case readOutcomes(String)
  case adopt(String, owner: NodeSession, cancels: Bool = false)
}

extension Dispatcher {
  /// Does a piece of work; changes of executions are repeated until the store has taken or refused them.
  func perform(_ job: StoreJob) async {
    switch job {
    case .create(let stored): await create(stored)
    case .update(let change): await update(change)
    case .restore(let stored): await restore(stored)
    case .release(let id, let owner): await tolerating("release of an execution") { try await store.release(id, owner: owner) }
    case .register(let registration, let knownEpoch, let session): await register(registration, knownEpoch, session)
    case .agentChanged(let id, let epoch, let capabilities, let limit):
      await change(agent: id, epoch: epoch) { record in
        if let capabilities { record.capabilities = capabilities }
        if let limit { record.maxConcurrentTasks = limit }
      }
    case .agentVanished(let id, let epoch): await change(agent: id, epoch: epoch) { $0.isConnected = false }
    case .agentGone(let id, let epoch):
      await tolerating("removal of an agent") { try await store.removeAgent(id, epoch: epoch, session: session) }
    case .record(let outcome, let execution, let id): await record(outcome, of: execution, id)
    case .readOutcomes(let id): await readOutcomes(id)
    case .adopt(let id, let owner, let cancels): await adopt(id, from: owner, cancels: cancels)
    }
  }

  private func create(_ stored: StoredExecution) async {
    let id = stored.execution.id
    await repeating("creation of an execution") {
      let outcome = try await store.create(stored)
      handle { machine, now in machine.writeFinished(id, outcome == .created ? .applied : .stale, at: now) }
    } onFirstFailure: { error in
      let refusal = APIError(.notReady, "the node's store did not take the execution; repeat with an idempotencyKey", details: nil)
      handle { machine, now in machine.creationDelayed(id, error: refusal, at: now) }
    }
  }

  private func update(_ change: ExecutionChange) async {
    await repeating("change of an execution") {
      let outcome = try await store.update(change)
      if outcome == .stale { warnOfOtherOwner(of: change.id) }
      handle { machine, now in machine.writeFinished(change.id, outcome, at: now) }
    }
  }

  func warnOfOtherOwner(of id: String) {
    logger.warning("an execution has another owner now", metadata: ["execution": "\(id)"])
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
    }
  }

  private func change(agent id: String, epoch: Int64, _ edit: (inout AgentRecord) -> Void) async {
    await tolerating("change of an agent") {
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
      case .unknown where isStoreDoubtful: throw StateStoreError(.unavailable, "its execution may be about to be restored")
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
        neighbours.tell(.recorded(execution: execution, task: outcome.id), owner)
      }
    case .alreadyRecorded(_, terminal: true), .unknown: break
    }
    return result
  }

  private func readOutcomes(_ id: String) async {
    await repeating("read of an execution") {
      let stored = try await store.execution(id)
      handle { machine, now in machine.outcomesRead(id, stored, at: now) }
    }
  }

  /// Takes over an execution that its owner gives away, or that this node owns and does not drive.
  private func adopt(_ id: String, from owner: NodeSession, cancels: Bool) async {
    await tolerating("adoption of an execution") {
      // Its owner lives: what is not in the store it may be about to restore.
      guard let stored = try await store.claim(id, from: owner, isGone: false, to: session) else { return }
      handle { machine, now in
        let actions = machine.recover(stored, at: now)
        return cancels ? actions + machine.cancel(id, waiter: nil, at: now).actions : actions
      }
      if owner != session { neighbours.tell(.adopted(execution: id), owner) }
    }
  }

  // MARK: Failures

  /// Repeats until it succeeds or the task is cancelled: what is to be written is known nowhere else.
  func repeating(_ what: String, _ work: () async throws -> Void, onFirstFailure: (any Error) -> Void = { _ in }) async {
    var delay = Duration.milliseconds(50)
    var isFirst = true
    while true {
      do {
        return try await work()
      } catch let error as StateStoreError where error.code == .unreadable {
        // Written by a newer version: a node of that version goes on with it.
        return logger.warning("left alone what this version cannot read", metadata: ["operation": "\(what)", "error": "\(error)"])
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

  /// For what others will find if it is not done now.
  private func tolerating(_ what: String, _ work: () async throws -> Void) async {
    do { try await work() } catch { storeFailed(what, error) }
  }

  private func storeFailed(_ what: String, _ error: any Error) {
    logger.debug("the store failed", metadata: ["operation": "\(what)", "error": "\(error)"])
  }
}
