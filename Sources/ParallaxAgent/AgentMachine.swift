import ParallaxAPI

/// Decides what an agent does: a value without clock, sockets and tasks.
///
/// Outcomes are kept until a node has acknowledged them, and are sent again after each registration; the first one of a task counts.
/// A new connection is registered before the old one is closed wherever the old one is still open.
struct AgentMachine {
  enum Event: Sendable {
    case started
    /// A WebSocket is open.
    case opened(Int)
    /// A connection could not be opened; `retryAfter` is what the node asks for.
    case refused(Int, reason: String, retryAfter: Duration?)
    case received(Int, ControlPlaneMessage, id: String?)
    /// A node has sent what is no message of the protocol, such as a message of a later version.
    case unreadable(Int, String)
    /// A connection has ended; the close code is nil if it broke.
    case closed(Int, code: Int?, reason: String)
    /// The work on a task has ended; nil if it was cancelled.
    case finished(String, Outcome?)
    case elapsed(Timer)
    /// A graceful shutdown has begun.
    case stopped
  }

  enum Outcome: Sendable {
    case result(AgentResult, duration: Duration)
    case failure(AgentTaskFailure)
  }

  enum Timer: Sendable, Hashable {
    case connect
    /// The registration at a connection is due.
    case registration(Int)
    case heartbeat(Int)
    /// The time of a graceful shutdown is over.
    case stop
  }

  enum Action: Sendable {
    case connect(Int, AgentEndpoint)
    case send(Int, [UInt8])
    case close(Int, code: Int)
    case perform(AgentTask)
    case cancel(String)
    case set(Timer, after: Duration)
    case clear(Timer)
    case report(Report)
    /// Nothing follows; nil after a graceful shutdown.
    case end(ParallaxAgentError?)
  }

  /// News for the log.
  enum Report: Sendable, Hashable {
    case registered(agentID: String, node: String)
    case lost(reason: String, retryIn: Duration)
    case moving(reason: String)
    case refusedMessage(code: String, message: String, taskID: String?)
    case unreadable(String)
    case unfinished(tasks: Int, outcomes: Int)
  }

  private struct Work {
    var executionID: String
    var requestID: String?
    /// The result is not wanted any more.
    var isCancelled = false
  }

  private struct KeptOutcome {
    var executionID: String
    var requestID: String?
    var frame: [UInt8]
  }

  /// The time that a node has for the answer to a registration.
  static let registrationLimit: Duration = .seconds(15)
  /// The wait after a refusal because other processes use the agent's id.
  static let contestedWait: Duration = .seconds(30)
  /// The intervals of heartbeats without any message after which a connection is taken for dead.
  static let silentBeats = 3

  private let configuration: AgentConfiguration
  private let endpoints: [AgentEndpoint]
  /// The name of this process, the same at each registration.
  private let process: String
  /// A random number from 0 to 1.
  private let random: @Sendable () -> Double

  /// The connection at which the agent is registered.
  private var current: Int?
  /// The connection that is being opened, or at which the registration is under way.
  private var candidate: Int?
  /// A registration was sent whose answer has not come: the node may have taken it.
  private var isRegistering = false
  private var lastConnection = 0
  private var nextEndpoint = 0
  /// The failed attempts since the last registration.
  private var failures = 0
  private var lastProblem = ""
  private var work: [String: Work] = [:]
  private var outcomes: [String: KeptOutcome] = [:]
  /// The ids of outcomes in the order of their ends.
  private var order: [String] = []
  private var beat: Duration = .seconds(10)
  private var largestMessage: Int?
  private var silence = 0
  private var isStopping = false
  private var hasEnded = false

  init(
    _ configuration: AgentConfiguration, endpoints: [AgentEndpoint], process: String,
    random: @escaping @Sendable () -> Double = { Double.random(in: 0...1) }
  ) {
    self.configuration = configuration
    self.endpoints = endpoints
    self.process = process
    self.random = random
  }

  mutating func handle(_ event: Event) -> [Action] {
    guard !hasEnded else { return [] }
    var actions: [Action] = []
    switch event {
    case .started: connect(&actions)
    case .opened(let connection): register(at: connection, &actions)
    case .refused(let connection, let reason, let retryAfter):
      guard connection == candidate else { break }
      candidate = nil
      retry(reason, after: retryAfter, &actions)
    case .received(let connection, let message, let id): receive(message, id: id, at: connection, &actions)
    case .unreadable(let connection, let problem):
      if connection == current { silence = 0 }
      actions.append(.report(.unreadable(problem)))
    case .closed(let connection, let code, let reason): closed(connection, code, reason, &actions)
    case .finished(let id, let outcome): finish(id, outcome, &actions)
    case .elapsed(let timer): elapsed(timer, &actions)
    case .stopped: stop(&actions)
    }
    endIfDone(&actions)
    return actions
  }

  // MARK: Connections

  private mutating func connect(_ actions: inout [Action]) {
    guard candidate == nil else { return }
    lastConnection += 1
    candidate = lastConnection
    let endpoint = endpoints[nextEndpoint % endpoints.count]
    nextEndpoint += 1
    actions += [.clear(.connect), .connect(lastConnection, endpoint)]
  }

  private mutating func register(at connection: Int, _ actions: inout [Action]) {
    guard connection == candidate else { return actions.append(.close(connection, code: 1_001)) }
    isRegistering = true
    var metadata = configuration.metadata
    metadata["name"] = .string(configuration.name ?? configuration.id)
    send(
      .register(
        AgentMessage.Register(
          capabilities: configuration.capabilities, metadata: .object(metadata),
          config: .init(maxConcurrentTasks: configuration.maxConcurrentTasks, maxMessageSize: configuration.maxMessageSize),
          activeTasks: work.keys.sorted() + order, process: process)),
      id: "register", at: connection, &actions)
    actions.append(.set(.registration(connection), after: Self.registrationLimit))
  }

  private mutating func registered(_ registration: ControlPlaneMessage.Registered, at connection: Int, _ actions: inout [Action]) {
    guard connection == candidate else { return }
    actions.append(.clear(.registration(connection)))
    // The node has dropped the former registration; closing without a message leaves the tasks with this agent.
    if let current { actions += [.clear(.heartbeat(current)), .close(current, code: 1_001)] }
    (current, candidate, failures, silence, isRegistering) = (connection, nil, 0, 0, false)
    beat = max(.milliseconds(100), registration.config.heartbeatInterval.duration)
    largestMessage = registration.config.maxMessageSize
    let place = (nextEndpoint + endpoints.count - 1) % endpoints.count
    actions += [
      .report(.registered(agentID: registration.agentId, node: endpoints[place].authority)), .set(.heartbeat(connection), after: beat),
    ]
    if isStopping { send(.statusUpdate(.init(status: "draining", reason: "the agent stops")), at: connection, &actions) }
    for id in order { sendOutcome(id, at: connection, &actions) }
  }

  private mutating func closed(_ connection: Int, _ code: Int?, _ reason: String, _ actions: inout [Action]) {
    actions += [.clear(.registration(connection)), .clear(.heartbeat(connection))]
    if connection == candidate {
      candidate = nil
      return retry(reason, after: nil, &actions)
    }
    guard connection == current else { return }
    current = nil
    if code == 1_000 {
      return end(ParallaxAgentError(.disconnected, "the control plane has disconnected the agent: \(reason)"), &actions)
    }
    // A new connection may be under way already, because the node has asked for one.
    if candidate == nil { retry(reason, after: nil, isFailure: false, &actions) }
  }

  /// Plans the next attempt, or gives up.
  private mutating func retry(_ reason: String, after least: Duration?, isFailure: Bool = true, _ actions: inout [Action]) {
    let settings = configuration.reconnection
    lastProblem = reason
    let bound = settings.initial * pow(settings.multiplier, failures)
    if isFailure { failures += 1 }
    if current == nil, !settings.isEnabled || (settings.maxRetries > 0 && failures > settings.maxRetries) {
      let attempts = failures == 1 ? "attempt" : "attempts"
      return end(
        ParallaxAgentError(.unreachable, "no node takes the agent after \(failures) failed \(attempts), the last one: \(lastProblem)"),
        &actions)
    }
    let wait = Swift.max(least ?? .zero, Swift.min(settings.max, bound) * random())
    actions += [.report(.lost(reason: reason, retryIn: wait)), .set(.connect, after: wait)]
  }

  private func pow(_ base: Double, _ exponent: Int) -> Double {
    // Beyond this the bound is that of every wait.
    (0..<Swift.min(exponent, 64)).reduce(1) { power, _ in Swift.min(power * base, 1e6) }
  }

  // MARK: Messages

  private mutating func receive(_ message: ControlPlaneMessage, id: String?, at connection: Int, _ actions: inout [Action]) {
    guard connection == current || connection == candidate else { return }
    if connection == current { silence = 0 }
    switch message {
    case .registered(let registration): registered(registration, at: connection, &actions)
    case .task(let task): take(task, id: id, at: connection, &actions)
    case .taskCancelled(let cancelled): cancel(cancelled.taskId, at: connection, &actions)
    case .resultAck(let acknowledged): forget(acknowledged.taskId)
    case .heartbeatAck: break
    case .reconnect(let request): move(request, from: connection, &actions)
    case .error(let fault): noteFault(fault, id: id, at: connection, &actions)
    }
  }

  private mutating func take(_ task: ControlPlaneMessage.Task, id: String?, at connection: Int, _ actions: inout [Action]) {
    if outcomes[task.taskId] != nil { return sendOutcome(task.taskId, at: connection, &actions) }
    guard work[task.taskId] == nil else { return }
    work[task.taskId] = Work(executionID: task.executionId, requestID: id)
    actions.append(.perform(AgentTask(task)))
  }

  private mutating func cancel(_ id: String, at connection: Int, _ actions: inout [Action]) {
    if work[id] != nil {
      // The place is free when the work has ended, not before.
      work[id]?.isCancelled = true
      actions.append(.cancel(id))
    } else {
      forget(id)
      send(.taskCancelledAck(.init(taskId: id)), at: connection, &actions)
    }
  }

  private mutating func move(_ request: ControlPlaneMessage.Reconnect, from connection: Int, _ actions: inout [Action]) {
    guard connection == current, candidate == nil else { return }
    actions += [
      .report(.moving(reason: request.reason)), .set(.connect, after: .milliseconds(Swift.max(0, request.afterMs)) * random()),
    ]
  }

  private mutating func noteFault(_ fault: ControlPlaneMessage.ProtocolError, id: String?, at connection: Int, _ actions: inout [Action]) {
    if fault.code == "REPLACED" {
      guard connection == current else { return }
      if isRegistering {
        // Replaced by its own registration, whose answer is late or lost; another process is met at the next time.
        isRegistering = false
        current = nil
        actions += [.clear(.heartbeat(connection)), .close(connection, code: 1_001)]
        if candidate == nil { retry("replaced by a registration of its own", after: nil, isFailure: false, &actions) }
        return
      }
      return end(
        ParallaxAgentError(
          .replaced, "another process has registered as \(configuration.id); two processes with one id would replace each other for ever"),
        &actions)
    }
    if fault.code == "AGENT_ID_IN_USE", connection == candidate {
      (candidate, isRegistering) = (nil, false)
      actions += [.clear(.registration(connection)), .close(connection, code: 1_001)]
      return retry("\(fault.code): \(fault.message)", after: Self.contestedWait, &actions)
    }
    // The node would refuse the same message again.
    let refused = id.flatMap { id in order.first { outcomes[$0]?.requestID == id } }
    if let refused, !fault.fatal { forget(refused) }
    actions.append(.report(.refusedMessage(code: fault.code, message: fault.message, taskID: refused)))
  }

  // MARK: Outcomes

  private mutating func finish(_ id: String, _ outcome: Outcome?, _ actions: inout [Action]) {
    guard let done = work.removeValue(forKey: id) else { return }
    guard let outcome, !done.isCancelled else {
      if let current { send(.taskCancelledAck(.init(taskId: id)), at: current, &actions) }
      return
    }
    let message: AgentMessage =
      switch outcome {
      case .result(let result, let duration):
        .taskResult(
          .init(taskId: id, executionId: done.executionID, result: result.value, confidence: result.confidence, duration: duration))
      case .failure(let failure): Self.failed(id, done.executionID, failure)
      }
    keep(message, id, done)
    if let current { sendOutcome(id, at: current, &actions) }
  }

  private static func failed(_ id: String, _ executionID: String, _ failure: AgentTaskFailure) -> AgentMessage {
    .taskError(
      .init(
        taskId: id, executionId: executionID,
        error: ExecutionFailure(code: failure.code, message: failure.message, details: failure.details), retryable: failure.isRetryable))
  }

  private mutating func keep(_ message: AgentMessage, _ id: String, _ done: Work) {
    var message = message
    if case .taskResult(let result) = message, let confidence = result.confidence, !(0...1).contains(confidence) {
      message = Self.failed(
        id, done.executionID,
        AgentTaskFailure(code: "INVALID_RESULT", message: "the confidence \(confidence) is not from 0 to 1", isRetryable: false))
    }
    let requestID = done.requestID ?? id
    let encoded = (try? message.encoded(id: requestID, timestamp: nil)).map(Array.init)
    // The node would refuse what nests too deeply, and could not say which task it was.
    let frame =
      encoded.flatMap { (try? JSON.value(from: $0)) == nil ? nil : $0 }
      ?? Self.frame(
        Self.failed(
          id, done.executionID,
          AgentTaskFailure(
            code: "INVALID_RESULT", message: "the result has a number that JSON cannot express, or nests too deeply", isRetryable: false)),
        id: requestID)
    outcomes[id] = KeptOutcome(executionID: done.executionID, requestID: requestID, frame: frame)
    order.append(id)
  }

  private mutating func sendOutcome(_ id: String, at connection: Int, _ actions: inout [Action]) {
    guard let kept = outcomes[id] else { return }
    if let largestMessage, kept.frame.count > largestMessage {
      // The node would end the connection at such a message, at each return of the agent.
      let failure = AgentTaskFailure(
        code: "MESSAGE_TOO_LARGE",
        message: "the result has \(kept.frame.count) bytes, and the node accepts \(largestMessage) (agents.maxMessageSize)",
        isRetryable: false)
      outcomes[id]?.frame = Self.frame(Self.failed(id, kept.executionID, failure), id: kept.requestID)
    }
    actions.append(.send(connection, outcomes[id]?.frame ?? []))
  }

  private mutating func forget(_ id: String) {
    guard outcomes.removeValue(forKey: id) != nil else { return }
    order.removeAll { $0 == id }
  }

  private func send(_ message: AgentMessage, id: String? = nil, at connection: Int, _ actions: inout [Action]) {
    actions.append(.send(connection, Self.frame(message, id: id)))
  }

  private static func frame(_ message: AgentMessage, id: String?) -> [UInt8] {
    guard let frame = try? message.encoded(id: id, timestamp: nil) else {
      preconditionFailure("a message of the agent itself has no number that JSON cannot express")
    }
    return Array(frame)
  }

  // MARK: Times

  private mutating func elapsed(_ timer: Timer, _ actions: inout [Action]) {
    switch timer {
    case .connect: connect(&actions)
    case .registration(let connection):
      guard connection == candidate else { return }
      candidate = nil
      actions.append(.close(connection, code: 1_001))
      retry("the node has not answered the registration within \(Self.registrationLimit)", after: nil, &actions)
    case .heartbeat(let connection):
      guard connection == current else { return }
      guard silence < Self.silentBeats else {
        current = nil
        actions.append(.close(connection, code: 1_001))
        if candidate == nil { retry("the node was silent for \(beat * Self.silentBeats)", after: nil, isFailure: false, &actions) }
        return
      }
      silence += 1
      let status = isStopping ? "draining" : work.isEmpty ? "idle" : "busy"
      let tasks = JSONValue.array(work.keys.sorted().map(JSONValue.string))
      send(.heartbeat(.init(status: status, activeTasks: tasks)), at: connection, &actions)
      actions.append(.set(.heartbeat(connection), after: beat))
    case .stop:
      guard isStopping else { return }
      actions.append(.report(.unfinished(tasks: work.count, outcomes: outcomes.count)))
      leave(graceful: false, &actions)
    }
  }

  // MARK: The end

  private mutating func stop(_ actions: inout [Action]) {
    guard !isStopping else { return }
    isStopping = true
    actions.append(.set(.stop, after: configuration.stopTimeout))
    if let current { send(.statusUpdate(.init(status: "draining", reason: "the agent stops")), at: current, &actions) }
  }

  private mutating func endIfDone(_ actions: inout [Action]) {
    if isStopping, !hasEnded, work.isEmpty, outcomes.isEmpty { leave(graceful: true, &actions) }
  }

  private mutating func leave(graceful: Bool, _ actions: inout [Action]) {
    if let current {
      send(.disconnect(.init(reason: "the agent stops", graceful: graceful)), at: current, &actions)
      actions.append(.close(current, code: 1_000))
    }
    end(nil, &actions)
  }

  private mutating func end(_ error: ParallaxAgentError?, _ actions: inout [Action]) {
    hasEnded = true
    actions += work.keys.sorted().map { .cancel($0) }
    actions.append(.end(error))
  }
}
