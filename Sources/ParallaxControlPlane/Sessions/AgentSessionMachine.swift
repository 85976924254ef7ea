package import ParallaxAPI

/// One agent connection's protocol: what a message means in the state that the session is in, and what is answered.
///
/// `unregistered → registering → registered → closed`; every state can go to closed.
package struct AgentSessionMachine: Sendable {
  /// What the session is told about its surroundings.
  package struct Settings: Sendable, Hashable {
    package var heartbeatInterval: Duration
    /// Silence of this length ends the session.
    package var heartbeatTimeout: Duration
    /// Said to the agent: how long a task may take that says nothing else.
    package var taskTimeout: Duration
    /// Ten times as many may come at once, since an agent that reconnects has results to send again.
    package var maxMessagesPerSecond: Int
    /// Said to the agent: the largest message that it may send, in bytes.
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

  /// What an agent wants to be registered with.
  package struct Registration: Sendable, Hashable {
    package var agentID: String
    package var name: String?
    package var capabilities: [String]
    package var limit: Int
    package var metadata: JSONValue?
    package var activeTasks: [String]?
    /// The largest message that the agent takes, in bytes; nil: it cannot tell.
    package var maxMessageSize: Int?
  }

  /// Why a session is ended by this side.
  package enum Ending: String, Sendable, Hashable {
    case silent, notRegistered, tooManyMessages, replaced, left, refused
  }

  /// What the session's driver has to do, in order.
  package enum Action: Sendable, Hashable {
    /// Store; then call `registrationStored` or `registrationFailed`.
    case register(Registration)
    case reply(ControlPlaneMessage, inAnswerTo: String?)
    /// The registration stands: the dispatcher may give it work.
    case registered(Registration, epoch: Int64)
    /// The registration was stored once more, under another epoch.
    case renewed(agentID: String, from: Int64, epoch: Int64)
    /// The registration could not be stored once more: call `storeLost` again in a while.
    case renewLater
    case taskCompleted(AgentMessage.TaskResult, messageID: String?)
    case taskFailed(AgentMessage.TaskError, messageID: String?)
    /// The agent has stopped a task that was cancelled.
    case placeFreed(String)
    /// Which tasks the agent has, as its heartbeat tells.
    case reported([String])
    case changed(capabilities: [String]?, limit: Int?, isDraining: Bool?)
    /// Send a ping, which the agent's library answers.
    case ping
    /// The agent is gone; `graceful`: it said good-bye.
    case left(agentID: String, epoch: Int64, graceful: Bool)
    case close(Ending)
  }

  private enum State: Sendable {
    case unregistered
    case registering(Registration, messageID: String?, waiting: [ReceivedAgentMessage])
    case registered(Registration, epoch: Int64)
    case closed
  }

  /// How many messages may arrive while the registration is being stored.
  private static let waitingLimit = 1_000
  private static let registrationTimeout = Duration.seconds(30)

  package let settings: Settings
  private let agentID: String
  private let headerCapabilities: [String]
  private var state = State.unregistered
  private var isRenewing = false
  private let openedAt: Duration
  private var lastMessage: Duration
  private var lastPing: Duration
  private var tokens: Double
  private var tokensAt: Duration

  /// A session for a connection that has just opened.
  ///
  /// `agentID` is the one of the handshake, or one made for it.
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

  /// The agent's id and epoch while it is registered.
  package var registration: (agentID: String, epoch: Int64)? {
    guard case .registered(let registration, let epoch) = state else { return nil }
    return (registration.agentID, epoch)
  }

  /// The largest message that the agent takes; nil: it cannot tell.
  package var agentMessageLimit: Int? {
    guard case .registered(let registration, _) = state else { return nil }
    return registration.maxMessageSize
  }

  // MARK: Messages

  /// A frame was read, or could not be.
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
    guard (1...10_000).contains(limit) else {
      return fault(id, "INVALID_MESSAGE", "register: config.maxConcurrentTasks: expected 1 to 10000, found \(limit)")
    }
    let registration = Registration(
      agentID: agentID, name: message.metadata?["name"]?.stringValue, capabilities: capabilities, limit: limit,
      metadata: message.metadata, activeTasks: message.activeTasks, maxMessageSize: message.config?.maxMessageSize)
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
    return [.taskFailed(error, messageID: id)]
  }

  /// What is wrong with ids that nobody here can have made; they are looked up in the store, so they have to be bounded.
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
      return fault(id, "INVALID_MESSAGE", "task_result: status: expected completed or failed, found \"\(status.prefix(64))\"")
    }
  }

  private func statusUpdate(_ update: AgentMessage.StatusUpdate, _ id: String?) -> [Action] {
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
    return [.changed(capabilities: update.capabilities, limit: update.maxTasks, isDraining: isDraining)]
  }

  /// A heartbeat that lists tasks tells which places are taken; one that only counts them, or says nothing, is a sign of life.
  private func heartbeat(_ message: AgentMessage.Heartbeat, _ id: String?, at now: Moment) -> [Action] {
    let answer = ControlPlaneMessage.HeartbeatAck(serverTime: now.wall, nextHeartbeat: settings.heartbeatInterval)
    let reply = Action.reply(.heartbeatAck(answer), inAnswerTo: id)
    guard case .array(let values)? = message.activeTasks, case .registered = state else { return [reply] }
    return [.reported(values.compactMap(\.stringValue)), reply]
  }

  // MARK: Registration

  /// The store has lost its data: a registration is to be stored once more.
  package mutating func storeLost() -> [Action] {
    guard case .registered(let registration, _) = state, !isRenewing else { return [] }
    isRenewing = true
    return [.register(registration)]
  }

  /// The store has the registration under this epoch.
  package mutating func registrationStored(epoch: Int64, at now: Moment) -> [Action] {
    if isRenewing, case .registered(let registration, let former) = state {
      isRenewing = false
      state = .registered(registration, epoch: epoch)
      return [.renewed(agentID: registration.agentID, from: former, epoch: epoch)]
    }
    guard case .registering(let registration, let messageID, let waiting) = state else {
      // The connection ended in the meantime: the registration is taken back like any other.
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

  /// The store did not take the registration: the agent is told, and may try again on another connection.
  package mutating func registrationFailed(_ message: String) -> [Action] {
    if isRenewing {
      isRenewing = false
      return [.renewLater]
    }
    guard case .registering(_, let messageID, _) = state else { return [] }
    return fault(messageID, "NOT_READY", message, fatal: true) + end(.refused)
  }

  // MARK: End

  /// Time has passed; to be called about once a second.
  ///
  /// `silence` is how long the agent has sent nothing at all. An agent that is silent is sent pings, so that its library's answers show
  /// that it lives even if it sends no heartbeat.
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

  /// Two pings may be lost before an agent counts as silent.
  private var pingInterval: Duration { settings.heartbeatTimeout / 3 }

  /// Another connection has registered under this agent's id.
  package mutating func replaced() -> [Action] {
    if case .closed = state { return [] }
    return fault(nil, "REPLACED", "another connection registered as \(agentID)", fatal: true) + end(.replaced)
  }

  /// The connection has ended.
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
    if now > tokensAt {
      tokens = min(rate * 10, tokens + (now - tokensAt) / .seconds(1) * rate)
      tokensAt = now
    }
    guard tokens >= 1 else { return false }
    tokens -= 1
    return true
  }
}
