package import Logging
package import NIOCore
package import ParallaxAPI
package import ParallaxServer
import ParallaxState
import Synchronization

/// The driver of an agent connection: decodes messages, passes them to the session's machine, and performs its actions.
///
/// The session is confined to the connection's event loop; other threads use its `SessionLink`.
package final class AgentSession: AgentMessageHandler, Sendable {
  private static let renewalPause = TimeAmount.seconds(1)
  /// The unsent bytes beyond which tasks wait for the agent to read.
  private static let pacingLimit = 256 << 10

  private let machine: NIOLoopBoundBox<AgentSessionMachine>
  fileprivate let connection: any AgentConnection
  private let dispatcher: Dispatcher
  fileprivate let clock: NodeClock
  private let metrics: SessionMetrics
  private let contests: AgentIDContests
  private let unidentified: UnidentifiedAnswers
  private let logger: Logger
  private let unanswered: NIOLoopBoundBox<UnansweredTasks>
  private let waiting: NIOLoopBoundBox<WaitingTasks>
  private let unwritten: NIOLoopBoundBox<UnwrittenTasks>
  /// The last registration of the agent, also after its end; nil before the first.
  private let registeredAs: NIOLoopBoundBox<(agentID: String, epoch: Int64)?>
  private let isClosed: NIOLoopBoundBox<Bool>
  private let isDraining: NIOLoopBoundBox<Bool>
  /// The end of the connection; nil before.
  private let closeReason: NIOLoopBoundBox<AgentCloseReason?>
  /// The process that has registered; nil if the agent names none.
  private let process: NIOLoopBoundBox<String?>
  /// The greatest numbers of the pings sent and answered.
  private let pings: NIOLoopBoundBox<(sent: UInt64, answered: UInt64)>
  /// The beginning of the message that ends the connection, because it is too large or not valid UTF-8.
  private let refusedMessage: NIOLoopBoundBox<ByteBuffer>
  private let lastMessage: Atomic<Int64>
  private let messageCount = Atomic<UInt64>(0)

  package init(
    machine: AgentSessionMachine, connection: any AgentConnection, dispatcher: Dispatcher, clock: NodeClock, metrics: SessionMetrics,
    contests: AgentIDContests, unidentified: UnidentifiedAnswers, logger: Logger
  ) {
    self.machine = NIOLoopBoundBox(machine, eventLoop: connection.eventLoop)
    unanswered = NIOLoopBoundBox(UnansweredTasks(), eventLoop: connection.eventLoop)
    waiting = NIOLoopBoundBox(WaitingTasks(), eventLoop: connection.eventLoop)
    unwritten = NIOLoopBoundBox(UnwrittenTasks(), eventLoop: connection.eventLoop)
    registeredAs = NIOLoopBoundBox(nil, eventLoop: connection.eventLoop)
    isClosed = NIOLoopBoundBox(false, eventLoop: connection.eventLoop)
    isDraining = NIOLoopBoundBox(false, eventLoop: connection.eventLoop)
    closeReason = NIOLoopBoundBox(nil, eventLoop: connection.eventLoop)
    process = NIOLoopBoundBox(nil, eventLoop: connection.eventLoop)
    pings = NIOLoopBoundBox((0, 0), eventLoop: connection.eventLoop)
    refusedMessage = NIOLoopBoundBox(ByteBuffer(), eventLoop: connection.eventLoop)
    self.connection = connection
    self.dispatcher = dispatcher
    self.clock = clock
    self.metrics = metrics
    self.contests = contests
    self.unidentified = unidentified
    self.logger = logger
    lastMessage = Atomic(clock.now.wall.milliseconds)
  }

  package var lastSeen: Timestamp { Timestamp(milliseconds: lastMessage.load(ordering: .relaxed)) }

  // MARK: AgentMessageHandler

  package func opened() {
    metrics.opened()
  }

  package func received(_ message: ByteBuffer) {
    let now = clock.now
    lastMessage.store(now.wall.milliseconds, ordering: .relaxed)
    perform(machine.value.received(decode(message), at: now))
  }

  /// Decodes a message; an answer that cannot be decoded fails its task, because the agent would repeat it.
  private func decode(_ message: ByteBuffer) -> Result<ReceivedAgentMessage, AgentProtocolFault> {
    do throws(AgentProtocolFault) {
      let received = try AgentMessage.decode(message.readableBytesView)
      metrics.received(received.message.kind)
      return .success(received)
    } catch {
      metrics.receivedFault()
      let head = MessageHead(message.readableBytesView)
      guard head.isAnswer, head.taskID != nil, let task = unanswered.value.answered(by: head).first else { return .failure(error) }
      if unanswered.value.contains(task.id) { note(.invalid, of: task, error.message) }
      let failure = AnswerRefusal.invalid.failure(of: task, error.message)
      return .success(ReceivedAgentMessage(id: error.id ?? head.id, message: .taskError(failure)))
    }
  }

  package func tick(at now: NIODeadline, silence: TimeAmount) {
    let now = clock.now
    let silence = Duration.nanoseconds(silence.nanoseconds)
    // A message updates the last sign of life at once, any other frame at the next tick.
    let lastSign = (now.wall - silence).milliseconds
    if lastSign > lastMessage.load(ordering: .relaxed) { lastMessage.store(lastSign, ordering: .relaxed) }
    perform(machine.value.timePassed(at: now.instant, silence: silence))
  }

  package func answered(_ ping: UInt64) {
    // Agents may send pongs that nothing asked for.
    guard ping > pings.value.answered, ping <= pings.value.sent else { return }
    pings.value.answered = ping
    tellDispatcher { .answered(ping: ping, by: $0, epoch: $1) }
  }

  package func drained() {
    unwritten.value.removeAll()
    while !waiting.value.isEmpty, connection.unsentBytes <= Self.pacingLimit, let task = waiting.value.next(at: clock.now.instant) {
      guard task.timeout.duration > .zero else {
        // Its withdrawal is under way, or was lost.
        tellDispatcher { .dropped(task: task.taskId, at: $0, epoch: $1) }
        continue
      }
      // A task that counts as unsent must not have been written.
      tellDispatcher { .sent(task: task.taskId, to: $0, epoch: $1) }
      write(.task(task), inAnswerTo: nil)
    }
  }

  package func refused(_ beginning: ByteBuffer) {
    refusedMessage.value = beginning
  }

  package func closed(_ reason: AgentCloseReason) {
    metrics.closed()
    logger.debug("agent connection closed", metadata: ["reason": "\(reason)"])
    isClosed.value = true
    closeReason.value = reason
    waiting.value.removeAll()
    reportUnwritten()
    perform(machine.value.connectionClosed())
    // The acknowledgement waits for the return of an agent that has left.
    failRefused(reason)
  }

  // MARK: Sending

  /// The link by which other threads use this session.
  var link: SessionLink { SessionLink(session: self, eventLoop: connection.eventLoop) }

  /// Sends a message; a task waits while the agent does not read.
  fileprivate func send(_ message: ControlPlaneMessage, inAnswerTo id: String?) {
    switch message {
    case .task(let task) where isClosed.value: reportUnsent(task.taskId)
    case .task(let task) where !waiting.value.isEmpty || connection.unsentBytes > Self.pacingLimit:
      waiting.value.add(task, at: clock.now.instant)
      reportUnsent(task.taskId)
    case .taskCancelled(let task) where waiting.value.remove(task.taskId):
      // The agent has never had the task.
      forward { .agent(.stopped(task: task.taskId, by: $0)) }
    default: write(message, inAnswerTo: id)
    }
  }

  fileprivate func ping(_ number: UInt64) {
    pings.value.sent = max(pings.value.sent, number)
    connection.ping(number)
  }

  private func write(_ message: ControlPlaneMessage, inAnswerTo id: String?) {
    do {
      let frame = try message.frame(id: id ?? nextID(for: message), timestamp: clock.now.wall)
      if case .task(let task) = message, let limit = machine.value.agentMessageLimit, frame.count > limit {
        return fail(
          UnansweredTasks.Task(task, bytes: frame.count), .tooLarge, "the task has \(frame.count) bytes and its agent takes \(limit)")
      }
      guard connection.send(ByteBuffer(bytes: frame)) else {
        // The connection closes.
        if case .task(let task) = message { reportUnsent(task.taskId) }
        return
      }
      unwritten.value.add(message, bytes: frame.count, unsent: connection.unsentBytes)
      metrics.sent(message.kind)
      switch message {
      case .task(let task): unanswered.value.add(UnansweredTasks.Task(task, bytes: frame.count))
      case .taskCancelled(let task): unanswered.value.remove(task.taskId)
      case .resultAck(let task): unanswered.value.acknowledge(task.taskId)
      default: break
      }
    } catch {
      logger.error("a message could not be encoded", metadata: ["type": "\(message.kind.rawValue)", "error": "\(error)"])
    }
  }

  private func reportUnwritten() {
    for task in unwritten.value.tasks(inLast: connection.unsentBytes) { reportUnsent(task) }
    unwritten.value.removeAll()
  }

  /// Tells the dispatcher that the agent does not have a task yet, also after its registration has ended.
  private func reportUnsent(_ task: String) {
    guard let (agentID, epoch) = registeredAs.value else { return }
    dispatcher.handle(.agent(.deferred(task: task, at: agentID, epoch: epoch)))
  }

  /// The id of a message: for a task the task's id, so that an agent may answer with either, else a number.
  private func nextID(for message: ControlPlaneMessage) -> String {
    if case .task(let task) = message { return task.taskId }
    return "msg_\(messageCount.wrappingAdd(1, ordering: .relaxed).newValue)"
  }

  // MARK: Output

  fileprivate func perform(_ event: (inout AgentSessionMachine) -> [AgentSessionMachine.Action]) {
    perform(event(&machine.value))
  }

  private func perform(_ actions: [AgentSessionMachine.Action]) {
    for action in actions {
      switch action {
      case .register(let registration): register(registration)
      case .reply(let message, let id): reply(message, id)
      case .registered(let registration, let epoch):
        var metadata: Logger.Metadata = ["agent": "\(registration.agentID)", "epoch": "\(epoch)"]
        if let address = connection.remoteAddress { metadata["address"] = "\(address)" }
        logger.info("agent registered", metadata: metadata)
        contests.registered(registration.agentID, holder)
        registeredAs.value = (registration.agentID, epoch)
        unanswered.value.report(registration.activeTasks ?? [])
        dispatcher.registered(registration, epoch: epoch, link: link)
      case .renewed(let agentID, let former, let epoch):
        registeredAs.value = (agentID, epoch)
        dispatcher.renewed(agentID, from: former, epoch: epoch)
      case .renewLater:
        connection.eventLoop.scheduleTask(in: Self.renewalPause) { self.perform { $0.storeLost() } }
      case .taskCompleted(let result, let id):
        unanswered.value.remove(result.taskId)
        forward { .completed(result, by: $0, messageID: id) }
      case .taskFailed(let error, let id):
        unanswered.value.remove(error.taskId)
        forward { .failed(error, by: $0, messageID: id) }
      case .placeFreed(let task): forward { .agent(.stopped(task: task, by: $0)) }
      case .reported(let tasks):
        tellDispatcher { .reported($0, epoch: $1, tasks: tasks) }
      case .changed(let capabilities, let limit, let isDraining):
        if let isDraining { self.isDraining.value = isDraining }
        tellDispatcher { .changed($0, epoch: $1, capabilities: capabilities, limit: limit, isDraining: isDraining) }
      case .left(let agentID, let epoch, let graceful):
        noteDeparture(of: agentID, epoch: epoch, graceful: graceful, actions)
        // Of an agent that says goodbye nothing is known afterward.
        if graceful { reportUnwritten() }
        dispatcher.left(agentID, epoch: epoch, graceful: graceful)
      case .ping: connection.ping()
      case .close(let ending): close(ending)
      }
    }
  }

  private var holder: AgentIDContests.Holder {
    AgentIDContests.Holder(connectionID: connection.id, address: connection.remoteAddress, process: process.value)
  }

  private func register(_ registration: AgentSessionMachine.Registration) {
    process.value = registration.process
    let home = dispatcher.otherHome(of: registration.agentID)
    guard registration.isRenewal || contests.admits(registration.agentID, holder, home: home, at: clock.now.instant) else {
      return perform { $0.idInUse() }
    }
    dispatcher.register(registration, link: link)
  }

  private func noteDeparture(of agentID: String, epoch: Int64, graceful: Bool, _ actions: [AgentSessionMachine.Action]) {
    let ending = actions.lazy.compactMap { if case .close(let ending) = $0 { ending } else { nil } }.first
    let departure = ending.map { AgentDeparture($0, isDraining: isDraining.value) } ?? closeReason.value.map { AgentDeparture($0) }
    var metadata = departure?.metadata ?? [:]
    metadata["agent"] = "\(agentID)"
    metadata["epoch"] = "\(epoch)"
    metadata["graceful"] = "\(graceful)"
    logger.info("agent left", metadata: metadata)
    contests.ended(agentID, holder, wasReplaced: ending == .replaced, at: clock.now.instant)
  }

  private func reply(_ message: ControlPlaneMessage, _ id: String?) {
    if case .error(let fault) = message { metrics.fault(fault.code) }
    send(message, inAnswerTo: id)
  }

  /// Fails the task of a message that ended the connection, if the task is identifiable, so that the message does not end each further
  /// connection of the agent.
  private func failRefused(_ reason: AgentCloseReason) {
    switch reason {
    case .closedByAgent(code: .messageTooBig?, _):
      guard let task = unanswered.value.largest else { return }
      fail(task, .tooLarge, "the task has \(task.bytes) bytes, which its agent refused as too large")
    case .protocolViolation(code: .messageTooBig, _): failAnswer(.tooLarge, "the agent's answer was larger than agents.maxMessageSize")
    case .protocolViolation(code: .invalidPayload, _) where refusedMessage.value.readableBytes > 0:
      failAnswer(.invalid, "the agent's answer is not valid UTF-8")
    default: break
    }
  }

  private func failAnswer(_ refusal: AnswerRefusal, _ message: String) {
    let tasks = unanswered.value.answered(by: MessageHead(refusedMessage.value.readableBytesView))
    guard tasks.count > 1 else {
      if let task = tasks.first, !unanswered.value.isAcknowledged(task.id) { fail(task, refusal, message) }
      return
    }
    guard let (agentID, _) = registeredAs.value else { return }
    let repeated = unidentified.refused(Set(tasks.map(\.id)), by: agentID)
    for task in tasks where repeated.contains(task.id) {
      fail(task, refusal, "\(message), and may be that of several tasks", isCertain: false)
    }
  }

  private func fail(_ task: UnansweredTasks.Task, _ refusal: AnswerRefusal, _ message: String, isCertain: Bool = true) {
    unanswered.value.remove(task.id)
    note(refusal, of: task, message)
    guard let (agentID, _) = registeredAs.value else { return }
    dispatcher.handle(.failed(refusal.failure(of: task, message, isCertain: isCertain), by: agentID, messageID: nil))
  }

  private func note(_ refusal: AnswerRefusal, of task: UnansweredTasks.Task, _ message: String) {
    let metadata: Logger.Metadata = ["task": "\(task.id)", "execution": "\(task.executionID)", "reason": "\(message)"]
    switch refusal {
    case .tooLarge: logger.warning("a message is too large", metadata: metadata)
    case .invalid: logger.warning("an answer is invalid", metadata: metadata)
    }
  }

  private func forward(_ event: (String) -> DispatchEvent) {
    if let agentID = machine.value.registration?.agentID { dispatcher.handle(event(agentID)) }
  }

  private func tellDispatcher(_ event: (_ agentID: String, _ epoch: Int64) -> AgentEvent) {
    if let (agentID, epoch) = machine.value.registration { dispatcher.handle(.agent(event(agentID, epoch))) }
  }

  private func close(_ ending: AgentSessionMachine.Ending) {
    switch ending {
    case .left: link.close(code: .normal, reason: "goodbye")
    case .silent: link.close(code: .goingAway, reason: "silent for longer than heartbeatTimeout")
    case .refused: link.close(code: .goingAway, reason: "not ready")
    case .notRegistered, .tooManyMessages, .replaced, .idInUse: link.close(code: .policyViolation, reason: ending.rawValue)
    }
  }
}

/// Forwards calls from any thread to a session on its event loop; retains the session, which its connection owns, for the calls under way.
struct SessionLink: AgentLink {
  fileprivate weak let session: AgentSession?
  fileprivate let eventLoop: any EventLoop

  var lastSeen: Timestamp? { session?.lastSeen }

  func send(_ message: ControlPlaneMessage, inAnswerTo id: String?) {
    inOrder { $0.send(message, inAnswerTo: id) }
  }

  func ping(_ number: UInt64) {
    inOrder { $0.ping(number) }
  }

  func registrationEnded(_ outcome: Result<Int64, any Error>, orElse: @escaping @Sendable () -> Void) {
    eventLoop.execute {
      guard let session else { return orElse() }
      switch outcome {
      case .success(let epoch): session.perform { $0.registrationStored(epoch: epoch, at: session.clock.now) }
      case .failure(let error): session.perform { $0.registrationFailed(Self.reason(error)) }
      }
    }
  }

  /// Why a registration is not stored, for the agent.
  private static func reason(_ error: any Error) -> String {
    guard let error = error as? StateStoreError, error.code != .unavailable else {
      return "the node cannot reach its store; try another node"
    }
    return error.message
  }

  func replace() {
    inOrder { session in session.perform { $0.replaced() } }
  }

  func registerAnew() {
    inOrder { session in session.perform { $0.storeLost() } }
  }

  func end(_ reason: String) {
    close(code: .normal, reason: reason)
  }

  func restart(_ reason: String) {
    // Some libraries read 1012 as a protocol error.
    close(code: .goingAway, reason: reason)
  }

  fileprivate func close(code: WebSocketCloseCode, reason: String) {
    inOrder { $0.connection.close(code: code, reason: reason) }
  }

  /// Performs an operation on the event loop, after all earlier ones, also if the connection ends before: a task must not vanish.
  private func inOrder(_ work: @escaping @Sendable (AgentSession) -> Void) {
    guard let session else { return }
    eventLoop.execute { work(session) }
  }
}
