package import ParallaxAPI
import ParallaxState

/// The protocol of one agent connection: maps messages and events to actions, depending on the state of the session.
///
/// `unregistered → registering → registered → closed`; every state can go to `closed`.
package struct AgentSessionMachine: Sendable {
  /// The settings of a session.
  package struct Settings: Sendable, Hashable {
    package var heartbeatInterval: Duration
    /// The silence after which the session ends.
    package var heartbeatTimeout: Duration
    /// The default time-out of a task, announced to the agent.
    package var taskTimeout: Duration
    /// The sustained rate of messages; a burst may have ten times as many, because an agent that reconnects repeats its results.
    package var maxMessagesPerSecond: Int
    /// The largest message that the agent may send, in bytes, announced to the agent.
    package var maxMessageSize: Int

    package init(
      heartbeatInterval: Duration, heartbeatTimeout: Duration, taskTimeout: Duration, maxMessagesPerSecond: Int,
      maxMessageSize: Int = 1 << 20
    ) {
      self.heartbeatInterval = heartbeatInterval
      self.heartbeatTimeout = heartbeatTimeout
      self.taskTimeout = taskTimeout
      self.maxMessagesPerSecond = maxMessagesPerSecond
      self.maxMessageSize = maxMessageSize
    }
  }

  /// The content of an agent's registration.
  package struct Registration: Sendable, Hashable {
    package var agentID: String
    package var name: String?
    package var capabilities: [String]
    package var limit: Int
    package var metadata: JSONValue?
    package var activeTasks: [String]?
    /// The agent's process; nil if the agent names none.
    package var process: String?
    /// The largest message that the agent accepts, in bytes; nil if the agent did not announce it.
    package var maxMessageSize: Int?
    /// Whether a connected agent is registered again, because the store has lost its registration.
    package var isRenewal = false
  }

  /// The reason for which the node ends a session.
  package enum Ending: String, Sendable, Hashable {
    case silent, notRegistered, tooManyMessages, replaced, left, refused, idInUse
  }

  /// An action for the session's driver; it performs them in order.
  package enum Action: Sendable, Hashable {
    /// Store the registration, then call `registrationStored` or `registrationFailed`.
    case register(Registration)
    case reply(ControlPlaneMessage, inAnswerTo: String?)
    /// Announce the registered agent to the dispatcher, which may give it work.
    case registered(Registration, epoch: Int64)
    /// Announce to the dispatcher that the registration has a new epoch.
    case renewed(agentID: String, from: Int64, epoch: Int64)
    /// Call `storeLost` again after a pause, because the store refused the renewed registration.
    case renewLater
    case taskCompleted(AgentMessage.TaskResult, messageID: String?)
    case taskFailed(AgentMessage.TaskError, messageID: String?)
    /// Free the place of a cancelled task, which the agent has stopped.
    case placeFreed(String)
    /// Reconcile the tasks of the agent with those in its heartbeat.
    case reported([String])
    case changed(capabilities: [String]?, limit: Int?, isDraining: Bool?)
    /// Send a WebSocket ping, which the agent's library answers.
    case ping
    /// Announce that the agent has left; `graceful` if it sent `disconnect`.
    case left(agentID: String, epoch: Int64, graceful: Bool)
    case close(Ending)
  }

  private enum State: Sendable {
    case unregistered
    case registering(Registration, messageID: String?, waiting: [ReceivedAgentMessage])
    case registered(Registration, epoch: Int64)
    case closed
  }

  /// The largest number of messages that may arrive while the registration is being stored.
  private static let waitingLimit = 1_000
  private static let registrationTimeout = Duration.seconds(30)
  /// The largest number of tasks that an agent may have at a time.
  private static let greatestLimit = 10_000

  package let settings: Settings
  private let agentID: String
  private let headerCapabilities: [String]
  private var state = State.unregistered
  private var renewing: Registration?
  private let openedAt: Duration
  private var lastMessage: Duration
  private var lastPing: Duration
  private var tokens: Double
  private var tokensAt: Duration

  /// Makes the session of a new connection.
  ///
  /// `agentID` is the id from the handshake, or a generated one.
  package init(settings: Settings, agentID: String, capabilities: [String], at now: Duration) {
    self.settings = settings
    self.agentID = agentID
    headerCapabilities = capabilities
    openedAt = now
    lastMessage = now
    lastPing = now
    tokens = Double(settings.maxMessagesPerSecond * 10)
    tokensAt = now
  }

  /// The agent's id and epoch; nil while the agent is not registered.
  package var registration: (agentID: String, epoch: Int64)? {
    guard case .registered(let registration, let epoch) = state else { return nil }
    return (registration.agentID, epoch)
  }

  /// The largest message that the agent accepts, in bytes; nil if the agent did not announce it.
  package var agentMessageLimit: Int? {
    guard case .registered(let registration, _) = state else { return nil }
    return registration.maxMessageSize
  }

  // MARK: Messages

  /// Processes a message, or the fault of an invalid one.
  package mutating func received(_ message: Result<ReceivedAgentMessage, AgentProtocolFault>, at now: Moment) -> [Action] {
    if case .closed = state { return [] }
    lastMessage = now.instant
    guard takeToken(at: now.instant) else {
      return fault(nil, "RATE_LIMITED", "more than \(settings.maxMessagesPerSecond) messages a second", fatal: true) + end(.tooManyMessages)
    }
    switch message {
    case .failure(let error): return fault(error.id, error.code, error.message)
    case .success(let received): return handle(received, at: now)
    }
  }

  private mutating func handle(_ received: ReceivedAgentMessage, at now: Moment) -> [Action] {
    switch (state, received.message) {
    case (.closed, _): return []
    case (_, .heartbeat(let message)): return heartbeat(message, received.id, at: now)
    case (_, .disconnect(let message)): return left(graceful: message.graceful ?? true)
    case (.unregistered, .register(let message)): return register(message, received.id)
    case (.unregistered, _):
      return fault(received.id, "NOT_REGISTERED", "send register before \(received.message.kind.rawValue)")
    case (.registering(let registration, let messageID, var waiting), _):
      guard waiting.count < Self.waitingLimit else {
        return fault(received.id, "RATE_LIMITED", "wait for registered before sending more", fatal: true) + end(.tooManyMessages)
      }
      waiting.append(received)
      state = .registering(registration, messageID: messageID, waiting: waiting)
      return []
    case (.registered, .register):
      return fault(received.id, "ALREADY_REGISTERED", "send status_update to change capabilities or limits")
    case (.registered, .taskResult(let result)): return taskResult(result, received.id)
    case (.registered, .taskError(let error)): return taskError(error, received.id)
    case (.registered, .taskCancelledAck(let message)): return [.placeFreed(message.taskId)]
    case (.registered, .statusUpdate(let update)): return statusUpdate(update, received.id)
    }
  }

  private mutating func register(_ message: AgentMessage.Register, _ id: String?) -> [Action] {
    let capabilities = message.capabilities ?? headerCapabilities
    if let fault = capabilityFault(capabilities) { return self.fault(id, "INVALID_MESSAGE", "register: \(fault)") }
    let limit = message.config?.maxConcurrentTasks ?? 1
    guard (1...Self.greatestLimit).contains(limit) else {
      return fault(id, "INVALID_MESSAGE", "register: config.maxConcurrentTasks: expected 1 to 10000, found \(limit)")
    }
    if let process = message.process, !(1...128).contains(process.utf8.count) {
      return fault(id, "INVALID_MESSAGE", "register: process: expected 1 to 128 bytes, found \(process.utf8.count)")
    }
    let registration = Registration(
      agentID: agentID, name: message.metadata?["name"]?.stringValue, capabilities: capabilities, limit: limit,
      metadata: message.metadata, activeTasks: message.activeTasks, process: message.process,
      maxMessageSize: message.config?.maxMessageSize)
    // An agent that returns from an outage sends the outcomes of all of its tasks at once.
    tokens += Double(min(message.activeTasks?.count ?? 0, Self.greatestLimit))
    state = .registering(registration, messageID: id, waiting: [])
    return [.register(registration)]
  }

  private func capabilityFault(_ capabilities: [String]) -> String? {
    if capabilities.isEmpty { return "capabilities: expected at least one" }
    if capabilities.count > 1_000 { return "capabilities: expected at most 1000, found \(capabilities.count)" }
    for (index, capability) in capabilities.enumerated() {
      if let fault = PatternDefinition.capabilityFault(capability) { return "capabilities[\(index)]: \(fault)" }
    }
    return nil
  }

  private func taskError(_ error: AgentMessage.TaskError, _ id: String?) -> [Action] {
    if let fault = idFault(error.taskId, error.executionId) { return self.fault(id, "INVALID_MESSAGE", "task_error: \(fault)") }
    var error = error
    error.error = error.error.ofAgent
    return [.taskFailed(error, messageID: id)]
  }

  /// Describes an id that the node cannot have generated; the store looks ids up, so they must be bounded.
  private func idFault(_ taskID: String, _ executionID: String) -> String? {
    for (name, value) in [("taskId", taskID), ("executionId", executionID)]
    where !(1...128).contains(value.utf8.count) || !value.utf8.allSatisfy(PatternDefinition.isNameByte) {
      return "\(name): expected the id of a task that was sent, found \"\(value.prefix(64))\""
    }
    return nil
  }

  private func taskResult(_ result: AgentMessage.TaskResult, _ id: String?) -> [Action] {
    if let fault = idFault(result.taskId, result.executionId) { return self.fault(id, "INVALID_MESSAGE", "task_result: \(fault)") }
    switch result.status ?? "completed" {
    case "completed", "success": return [.taskCompleted(result, messageID: id)]
    case "failed", "error":
      let failure = ExecutionFailure(code: "TASK_FAILED", message: "the agent reported a failure", details: result.result)
      let error = AgentMessage.TaskError(taskId: result.taskId, executionId: result.executionId, error: failure)
      return [.taskFailed(error, messageID: id)]
    case let status:
      let failure = Self.invalidResult("task_result: status: expected completed or failed, found \"\(status.prefix(64))\"")
      return [.taskFailed(AgentMessage.TaskError(taskId: result.taskId, executionId: result.executionId, error: failure), messageID: id)]
    }
  }

  /// The error of a task whose answer is invalid; the agent would repeat an answer that is refused without an end of the task.
  static func invalidResult(_ message: String) -> ExecutionFailure { ExecutionFailure(code: "INVALID_RESULT", message: message) }

  private mutating func statusUpdate(_ update: AgentMessage.StatusUpdate, _ id: String?) -> [Action] {
    if let capabilities = update.capabilities, let fault = capabilityFault(capabilities) {
      return self.fault(id, "INVALID_MESSAGE", "status_update: \(fault)")
    }
    if let limit = update.maxTasks, !(1...10_000).contains(limit) {
      return fault(id, "INVALID_MESSAGE", "status_update: maxTasks: expected 1 to 10000, found \(limit)")
    }
    let isDraining: Bool?
    switch update.status {
    case nil: isDraining = nil
    case "idle", "busy", "active": isDraining = false
    case "draining": isDraining = true
    case let status?:
      return fault(id, "INVALID_MESSAGE", "status_update: status: expected idle, busy or draining, found \"\(status.prefix(64))\"")
    }
    if case .registered(var registration, let epoch) = state {
      // A renewed registration must not undo the change.
      registration.capabilities = update.capabilities ?? registration.capabilities
      registration.limit = update.maxTasks ?? registration.limit
      state = .registered(registration, epoch: epoch)
    }
    return [.changed(capabilities: update.capabilities, limit: update.maxTasks, isDraining: isDraining)]
  }

  /// Answers a heartbeat.
  ///
  /// One that lists tasks also reports the agent's occupied places; one with a mere count does not.
  private func heartbeat(_ message: AgentMessage.Heartbeat, _ id: String?, at now: Moment) -> [Action] {
    let answer = ControlPlaneMessage.HeartbeatAck(serverTime: now.wall, nextHeartbeat: settings.heartbeatInterval)
    let reply = Action.reply(.heartbeatAck(answer), inAnswerTo: id)
    guard case .array(let values)? = message.activeTasks, case .registered = state else { return [reply] }
    return [.reported(values.compactMap(\.stringValue)), reply]
  }

  // MARK: Registration

  /// Renews the registration, because the store has lost its data.
  package mutating func storeLost() -> [Action] {
    guard case .registered(let registration, _) = state, renewing == nil else { return [] }
    renewing = registration
    var renewal = registration
    renewal.isRenewal = true
    return [.register(renewal)]
  }

  /// Records that the store has the registration under an epoch.
  package mutating func registrationStored(epoch: Int64, at now: Moment) -> [Action] {
    if let renewed = renewing, case .registered(let registration, let former) = state {
      renewing = nil
      state = .registered(registration, epoch: epoch)
      let action = Action.renewed(agentID: registration.agentID, from: former, epoch: epoch)
      guard renewed.capabilities != registration.capabilities || renewed.limit != registration.limit else { return [action] }
      // The agent changed while its former registration was being stored.
      return [action, .changed(capabilities: registration.capabilities, limit: registration.limit, isDraining: nil)]
    }
    guard case .registering(let registration, let messageID, let waiting) = state else {
      // The connection ended in the meantime, so the agent leaves like any other.
      return [.left(agentID: agentID, epoch: epoch, graceful: false)]
    }
    state = .registered(registration, epoch: epoch)
    let answer = ControlPlaneMessage.Registered(
      agentId: registration.agentID, capabilities: registration.capabilities,
      config: ControlPlaneMessage.Registered.Config(
        heartbeatInterval: settings.heartbeatInterval, taskTimeout: settings.taskTimeout, maxMessageSize: settings.maxMessageSize))
    var actions: [Action] = [.reply(.registered(answer), inAnswerTo: messageID), .registered(registration, epoch: epoch)]
    for received in waiting { actions += handle(received, at: now) }
    return actions
  }

  /// Records that the store refused the registration: the agent gets an error, and may retry on another connection.
  package mutating func registrationFailed(_ message: String) -> [Action] {
    if renewing != nil {
      renewing = nil
      return [.renewLater]
    }
    guard case .registering(_, let messageID, _) = state else { return [] }
    return fault(messageID, "NOT_READY", message, fatal: true) + end(.refused)
  }

  /// Records that processes fight for the agent's id, which another connection keeps.
  package mutating func idInUse() -> [Action] {
    guard case .registering(_, let messageID, _) = state else { return [] }
    let message = "several processes register as \(agentID), and another one keeps the id; give each its own id, or wait 30 s or longer"
    return fault(messageID, "AGENT_ID_IN_USE", message, fatal: true) + end(.idInUse)
  }

  // MARK: End

  /// Checks the time-outs; to be called about once a second.
  ///
  /// `silence` is the time since the last frame of any kind. A silent agent gets pings: its library's answers show that it is alive even if
  /// it sends no heartbeats.
  package mutating func timePassed(at now: Duration, silence: Duration) -> [Action] {
    switch state {
    case .closed: return []
    case .unregistered where now - openedAt >= Self.registrationTimeout:
      return fault(nil, "NOT_REGISTERED", "no register within \(Self.registrationTimeout.text)", fatal: true) + end(.notRegistered)
    case .unregistered, .registering, .registered:
      let silence = min(silence, now - lastMessage)
      if silence >= settings.heartbeatTimeout { return end(.silent) }
      guard silence >= pingInterval, now - lastPing >= pingInterval else { return [] }
      lastPing = now
      return [.ping]
    }
  }

  /// The time between two pings, of which two may be lost before an agent counts as silent.
  private var pingInterval: Duration { settings.heartbeatTimeout / 3 }

  /// Ends the session, because another connection has registered under this agent's id.
  package mutating func replaced() -> [Action] {
    if case .closed = state { return [] }
    return fault(nil, "REPLACED", "another connection registered as \(agentID)", fatal: true) + end(.replaced)
  }

  /// Records that the connection has ended.
  package mutating func connectionClosed() -> [Action] {
    defer { state = .closed }
    guard case .registered(let registration, let epoch) = state else { return [] }
    return [.left(agentID: registration.agentID, epoch: epoch, graceful: false)]
  }

  private mutating func left(graceful: Bool) -> [Action] {
    guard case .registered(let registration, let epoch) = state else { return end(.left) }
    state = .closed
    return [.left(agentID: registration.agentID, epoch: epoch, graceful: graceful), .close(.left)]
  }

  private mutating func end(_ ending: Ending) -> [Action] {
    connectionClosed() + [.close(ending)]
  }

  private func fault(_ id: String?, _ code: String, _ message: String, fatal: Bool = false) -> [Action] {
    [.reply(.error(ControlPlaneMessage.ProtocolError(code: code, message: message, fatal: fatal)), inAnswerTo: id)]
  }

  private mutating func takeToken(at now: Duration) -> Bool {
    let rate = Double(settings.maxMessagesPerSecond)
    if now > tokensAt, tokens < rate * 10 {
      tokens = min(rate * 10, tokens + (now - tokensAt) / .seconds(1) * rate)
    }
    tokensAt = max(tokensAt, now)
    guard tokens >= 1 else { return false }
    tokens -= 1
    return true
  }
}
