import Logging
import NIOCore
import NIOPosix
import ParallaxAPI
import ParallaxMetrics
import ParallaxServer
import ParallaxState
import Synchronization
import TestSupport
import Testing

@testable import ParallaxControlPlane

/// The close codes of an agent's connection, and the handling of oversized messages.
@Suite(.timeLimit(.minutes(1))) struct AgentSessionTests {
  private let connection = RecordingConnection()
  private let store = ForgetfulStore()
  private let unidentified = UnidentifiedAnswers()

  private func withSession(
    heartbeatTimeout: Duration = .seconds(90), storesRegistrations: Bool = true, peers: Peers = Peers(),
    _ body: (AgentSession, Dispatcher) async throws -> Void
  ) async throws {
    let dispatcher = Dispatcher(
      settings: DispatchMachine.Settings(session: World.session), store: store, retention: .seconds(60),
      peers: peers, timerLoop: connection.eventLoop, clock: NodeClock(), metrics: try DispatchMetrics(registry: MetricsRegistry()),
      logger: Self.logger)
    let session = try await makeSession(of: dispatcher, heartbeatTimeout: heartbeatTimeout)
    try await withThrowingTaskGroup(of: Void.self) { group in
      if storesRegistrations { group.addTask { try await dispatcher.run() } }
      try await body(session, dispatcher)
      group.cancelAll()
    }
  }

  private static var logger: Logger { Logger(label: "test") { _ in SwiftLogNoOpLogHandler() } }

  /// Opens a connection of the agent, which records its messages anew.
  private func makeSession(of dispatcher: Dispatcher, heartbeatTimeout: Duration = .seconds(90)) async throws -> AgentSession {
    let (connection, unidentified, clock) = (connection, unidentified, NodeClock())
    let metrics = try SessionMetrics(registry: MetricsRegistry())
    connection.forget()
    let settings = AgentSessionMachine.Settings(
      heartbeatInterval: .seconds(10), heartbeatTimeout: heartbeatTimeout, taskTimeout: .seconds(300), maxMessagesPerSecond: 100)
    return try await connection.eventLoop.submit {
      let machine = AgentSessionMachine(settings: settings, agentID: "agent_1", capabilities: [], at: clock.now.instant)
      return AgentSession(
        machine: machine, connection: connection, dispatcher: dispatcher, clock: clock, metrics: metrics,
        contests: AgentIDContests(logger: Self.logger), unidentified: unidentified, logger: Self.logger)
    }.get()
  }

  private func receive(_ message: AgentMessage, _ session: AgentSession) async throws {
    let bytes = ByteBuffer(bytes: try message.encoded(id: "m", timestamp: nil))
    try await connection.eventLoop.submit { session.received(bytes) }.get()
  }

  private func register(_ session: AgentSession, limit: Int = 1, maxMessageSize: Int? = nil, activeTasks: [String] = []) async throws {
    let config = AgentMessage.Register.Config(maxConcurrentTasks: limit, maxMessageSize: maxMessageSize)
    try await receive(.register(AgentMessage.Register(capabilities: ["text"], config: config, activeTasks: activeTasks)), session)
    try await eventually("the registration") { connection.types.contains("registered") }
  }

  private func submit(_ id: String, to dispatcher: Dispatcher, input: JSONValue = [:]) async {
    let execution = Execution(
      id: id, pattern: World.pattern(), input: input, createdAt: NodeClock.wall, deadline: NodeClock.wall + .seconds(60),
      owner: World.session)
    _ = await dispatcher.submit(execution, waits: false, isRepeatable: false)
  }

  @Test func eachEndHasItsCloseCode() async throws {
    try await withSession(heartbeatTimeout: .zero) { session, _ in
      try await connection.eventLoop.submit { session.tick(at: .now(), silence: .zero) }.get()
      try await eventually("the end") { !connection.codes.isEmpty }
      #expect(connection.codes == [.goingAway])
    }
    try await withSession { session, _ in
      try await register(session)
      session.link.replace()
      try await eventually("the end") { connection.codes.count == 2 }
      #expect(connection.codes.last == .policyViolation)
    }
    try await withSession { session, _ in
      session.link.restart("the node is shutting down")
      try await eventually("the end") { connection.codes.count == 3 }
      #expect(connection.codes.last == .goingAway)
    }
    try await withSession(storesRegistrations: false) { session, _ in
      try await receive(.register(AgentMessage.Register(capabilities: ["text"])), session)
      session.link.registrationEnded(.failure(StateStoreError(.unavailable, "no answer"))) {}
      try await eventually("the end") { connection.codes.count == 4 }
      #expect(connection.codes.last == .goingAway)
    }
  }

  @Test func anAgentLearnsTheReasonBeforeItsConnectionIsClosed() async throws {
    try await withSession { session, _ in
      try await register(session)
      session.link.replace()
      try await eventually("the end") { !connection.codes.isEmpty }
      #expect(connection.typesAtEnd == ["registered", "error"])
    }
  }

  @Test(
    "An agent hears why its registration is not stored",
    arguments: [
      (StateStoreError.Code.unwritable, "the store refuses writes: MISCONF"), (.unreadable, "stored by a newer version"),
      (.unavailable, "the node cannot reach its store; try another node"),
    ])
  func hears(_ code: StateStoreError.Code, _ reason: String) async throws {
    try await withSession(storesRegistrations: false) { session, _ in
      try await receive(.register(AgentMessage.Register(capabilities: ["text"])), session)
      session.link.registrationEnded(.failure(StateStoreError(code, code == .unavailable ? "no answer" : reason))) {}
      try await eventually("the end") { !connection.codes.isEmpty }
      #expect(connection.faults == ["NOT_READY: \(reason)"])
    }
  }

  @Test func aCancelledTaskDoesNotFailForAnOversizedMessage() async throws {
    try await withSession { session, dispatcher in
      try await register(session, limit: 2)
      await submit("exec_1", to: dispatcher)
      await submit("exec_2", to: dispatcher, input: .string(String(repeating: "x", count: 1_000)))
      try await eventually("both tasks") { connection.types.filter { $0 == "task" }.count == 2 }
      _ = await dispatcher.cancel("exec_2")
      try await eventually("the cancellation") { connection.types.contains("task_cancelled") }
      try await connection.eventLoop.submit { session.closed(.closedByAgent(code: .messageTooBig, reason: "")) }.get()
      try await eventually("the end", within: .seconds(5)) { store.execution("exec_1")?.execution.status == .failed }
      #expect(store.execution("exec_1")?.execution.error?.code == "MESSAGE_TOO_LARGE")
    }
  }

  @Test func aTaskLargerThanItsAgentAcceptsFailsWithoutBeingSent() async throws {
    try await withSession { session, dispatcher in
      try await register(session, maxMessageSize: 1_000)
      await submit("exec_1", to: dispatcher, input: .string(String(repeating: "x", count: 1_000)))
      try await eventually("the end") { store.execution("exec_1")?.execution.status == .failed }
      #expect(store.execution("exec_1")?.execution.error?.code == "MESSAGE_TOO_LARGE")
      #expect(!connection.types.contains("task"))
      await submit("exec_2", to: dispatcher)
      try await eventually("a task that it takes") { connection.types.contains("task") }
    }
  }

  @Test func anAgentThatRefusesAMessageAsTooLargeFailsItsLargestTask() async throws {
    try await withSession { session, dispatcher in
      try await register(session, limit: 2)
      await submit("exec_1", to: dispatcher)
      await submit("exec_2", to: dispatcher, input: .string(String(repeating: "x", count: 1_000)))
      try await eventually("both tasks") { connection.types.filter { $0 == "task" }.count == 2 }
      try await connection.eventLoop.submit { session.closed(.closedByAgent(code: .messageTooBig, reason: "")) }.get()
      try await eventually("the end") { store.execution("exec_2")?.execution.error?.code == "MESSAGE_TOO_LARGE" }
      #expect(store.execution("exec_1")?.execution.status == .running)
    }
  }

  /// Ends a connection because of a message with this beginning.
  private func refuse(_ code: WebSocketCloseCode, _ beginning: String, _ session: AgentSession) async throws {
    try await connection.eventLoop.submit {
      session.refused(ByteBuffer(string: beginning))
      session.closed(.protocolViolation(code: code, reason: ""))
    }.get()
  }

  @Test(
    arguments: [
      #"{"type":"task_result","id":"m","payload":{"taskId":"task_1_0","executionId":"exec_1","result":"xxx"#,
      #"{"id":"m","payload":{"metadata":{"taskId":"task_2_0"},"taskId":"task_1_0","result":"xxx"#,
      #"{"id":"m","payload":{"executionId":"exec_1","result":"xxx"#, #"{"id":"task_1_0","payload":{"result":"xxx"#,
    ])
  func `An oversized answer fails the task that its beginning names, whatever else the agent has`(_ beginning: String) async throws {
    try await withSession { session, dispatcher in
      try await register(session, limit: 2)
      for id in ["exec_1", "exec_2"] { await submit(id, to: dispatcher) }
      try await eventually("both tasks") { connection.types.filter { $0 == "task" }.count == 2 }
      try await refuse(.messageTooBig, beginning, session)
      try await eventually("the end") { store.execution("exec_1")?.execution.error?.code == "MESSAGE_TOO_LARGE" }
      #expect(store.execution("exec_2")?.execution.status == .running)
    }
  }

  @Test(
    arguments: [
      "", #"{"type":"task_result","id":"m","payload":{"result":"xxx"#,
      #"{"type":"task_result","payload":{"taskId":"task_1_0","result":"xxx"#,
    ])
  func `An oversized answer fails the only task that the agent reported`(_ beginning: String) async throws {
    try await withSession { session, dispatcher in
      try await register(session)
      await submit("exec_1", to: dispatcher)
      try await eventually("the task") { connection.types.contains("task") }
      try await connection.eventLoop.submit { session.closed(.connectionLost("it broke")) }.get()
      let next = try await makeSession(of: dispatcher)
      try await register(next, activeTasks: ["task_1_0"])
      try await refuse(.messageTooBig, beginning, next)
      try await eventually("the end") { store.execution("exec_1")?.execution.error?.code == "MESSAGE_TOO_LARGE" }
    }
  }

  @Test(arguments: [#"{"type":"heartbeat","payload":{"metrics":"xxx"#, #"{"type":"task_result","payload":{"result":"xxx"#])
  func `An oversized message that no task can be told from fails none`(_ beginning: String) async throws {
    try await withSession { session, dispatcher in
      let count = beginning.contains("heartbeat") ? 1 : 2
      try await register(session, limit: count)
      for number in 1...count { await submit("exec_\(number)", to: dispatcher) }
      try await eventually("the tasks") { connection.types.filter { $0 == "task" }.count == count }
      try await refuse(.messageTooBig, beginning, session)
      _ = await dispatcher.cancel("exec_1")
      #expect(store.execution("exec_1")?.execution.status == .cancelled)
    }
  }

  @Test func `An oversized answer of one of several tasks ends three connections to a node at most`() async throws {
    let beginning = #"{"type":"task_result","payload":{"result":"xxx"#
    try await withSession { session, dispatcher in
      try await register(session, limit: 3)
      for number in 1...3 { await submit("exec_\(number)", to: dispatcher) }
      try await eventually("the tasks") { connection.types.filter { $0 == "task" }.count == 3 }
      try await refuse(.messageTooBig, beginning, session)
      for number in 2...UnidentifiedAnswers.limit {
        #expect(["exec_1", "exec_2", "exec_3"].allSatisfy { store.execution($0)?.execution.status == .running })
        let next = try await makeSession(of: dispatcher)
        // The third task has ended meanwhile, so the answer is not its own.
        try await register(next, limit: 3, activeTasks: number == 2 ? ["task_1_0", "task_2_0", "task_3_0"] : ["task_1_0", "task_2_0"])
        try await refuse(.messageTooBig, beginning, next)
      }
      for id in ["exec_1", "exec_2"] {
        try await eventually("the end") { store.execution(id)?.execution.error?.code == "MESSAGE_TOO_LARGE" }
      }
      #expect(store.execution("exec_3")?.execution.status == .running)
    }
  }

  @Test func `Refused answers of different tasks are no repetition`() {
    let answers = UnidentifiedAnswers()
    for pair in [["a", "b"], ["c", "d"], ["e", "f"], ["a", "b"]] as [Set<String>] { #expect(answers.refused(pair, by: "x").isEmpty) }
    #expect(answers.refused(["b", "c"], by: "y").isEmpty && answers.refused(["b", "c"], by: "x").isEmpty)
    #expect(answers.refused(["b", "a"], by: "x") == ["b"])
  }

  @Test func `An oversized answer whose acknowledgement has reached the connection changes nothing`() async throws {
    let beginning = #"{"type":"task_result","payload":{"taskId":"task_1_0","executionId":"exec_1","result":"xxx"#
    try await withSession { session, dispatcher in
      try await register(session)
      await submit("exec_1", to: dispatcher)
      try await eventually("the task") { connection.types.contains("task") }
      try await refuse(.messageTooBig, beginning, session)
      try await eventually("the end") { store.execution("exec_1")?.execution.status == .failed }
      let second = try await makeSession(of: dispatcher)
      try await register(second, activeTasks: ["task_1_0"])
      try await eventually("the acknowledgement") { connection.types.contains("result_ack") }
      try await refuse(.messageTooBig, beginning, second)
      // A further failure would be acknowledged over the next connection.
      let third = try await makeSession(of: dispatcher)
      try await register(third, activeTasks: ["task_1_0"])
      await submit("exec_2", to: dispatcher)
      try await receive(.taskCancelledAck(.init(taskId: "task_1_0")), third)
      try await eventually("the next task") { connection.types.contains("task") }
      #expect(!connection.types.contains("result_ack"))
    }
  }

  @Test func `An answer that is not UTF-8 fails its task as invalid`() async throws {
    try await withSession { session, dispatcher in
      try await register(session, limit: 2)
      for id in ["exec_1", "exec_2"] { await submit(id, to: dispatcher) }
      try await eventually("both tasks") { connection.types.filter { $0 == "task" }.count == 2 }
      try await refuse(.invalidPayload, #"{"type":"task_result","payload":{"taskId":"task_1_0","result":"\u{FFFD}"}}"#, session)
      try await eventually("the end") { store.execution("exec_1")?.execution.error?.code == "INVALID_RESULT" }
      #expect(store.execution("exec_2")?.execution.status == .running)
    }
  }

  static let deep = String(repeating: "[", count: 70) + String(repeating: "]", count: 70)

  @Test(arguments: [deep, "12345678901234567890123", #""\ud800""#, #"{"a":1,"a":2}"#, "NaN", "1e999", "[1,", #"1,"confidence":"high""#])
  func `An answer that cannot be decoded fails its task as invalid, and is acknowledged`(_ result: String) async throws {
    try await withSession { session, dispatcher in
      try await register(session)
      await submit("exec_1", to: dispatcher)
      try await eventually("the task") { connection.types.contains("task") }
      let text = #"{"type":"task_result","payload":{"taskId":"task_1_0","executionId":"exec_1","result":\#(result)}}"#
      try await connection.eventLoop.submit { session.received(ByteBuffer(string: text)) }.get()
      try await eventually("the acknowledgement") { connection.types.contains("result_ack") }
      let execution = store.execution("exec_1")?.execution
      #expect(execution?.status == .failed && execution?.error?.code == "INVALID_RESULT")
      #expect(store.execution("exec_1")?.tasks.map(\.retryable) == [false])
      #expect(!connection.types.contains("error") && dispatcher.agent("agent_1")?.activeTasks == 0)
    }
  }

  @Test func `A message that cannot be decoded and answers no task is refused`() async throws {
    try await withSession { session, dispatcher in
      try await register(session)
      await submit("exec_1", to: dispatcher)
      try await eventually("the task") { connection.types.contains("task") }
      for text in ["task_1_0", #"{"type":"heartbeat","payload":{"taskId":"task_1_0","metrics":NaN}}"#] {
        try await connection.eventLoop.submit { session.received(ByteBuffer(string: text)) }.get()
      }
      #expect(connection.types.filter { $0 == "error" }.count == 2)
      #expect(store.execution("exec_1")?.execution.status == .running)
    }
  }

  @Test func anOversizedAnswerFailsTheAgentsOnlyTask() async throws {
    try await withSession { session, dispatcher in
      try await register(session)
      await submit("exec_1", to: dispatcher)
      try await eventually("the task") { connection.types.contains("task") }
      try await connection.eventLoop.submit { session.closed(.protocolViolation(code: .messageTooBig, reason: "")) }.get()
      try await eventually("the end") { store.execution("exec_1")?.execution.error?.code == "MESSAGE_TOO_LARGE" }
    }
  }
}

extension AgentSessionTests {
  private func setUnsent(_ bytes: Int, _ session: AgentSession) async throws {
    connection.unsentBytes = bytes
    guard bytes == 0 else { return }
    try await connection.eventLoop.submit { session.drained() }.get()
  }

  private func taskCount() -> Int { connection.types.count { $0 == "task" } }

  @Test func tasksWaitUntilTheirAgentHasReadEarlierOnes() async throws {
    try await withSession { session, dispatcher in
      try await register(session, limit: 10)
      try await setUnsent(1 << 20, session)
      for number in 1...3 { await submit("exec_\(number)", to: dispatcher) }
      try await eventually("the tasks") { store.execution("exec_3")?.execution.status == .running }
      // Whatever waits for the event loop has been performed after this.
      session.link.send(.error(ControlPlaneMessage.ProtocolError(code: "X", message: "")), inAnswerTo: nil)
      try await eventually("other messages") { connection.types.contains("error") }
      #expect(taskCount() == 0)
      try await setUnsent(0, session)
      #expect(taskCount() == 3)
      await submit("exec_4", to: dispatcher)
      try await eventually("a task that does not wait") { taskCount() == 4 }
    }
  }

  @Test func `A registration whose session is gone when the store has it is reported`() async throws {
    var link: SessionLink?
    try await withSession { session, _ in link = session.link }
    let gone = Recorder<String>()
    for outcome in [Result<Int64, any Error>.success(3), .failure(StateStoreError(.unavailable, "no answer"))] {
      link?.registrationEnded(outcome) { gone.add("gone") }
    }
    try await eventually("both answers") { gone.all.count == 2 }
  }

  private static func task(_ number: Int) -> ControlPlaneMessage.Task {
    ControlPlaneMessage.Task(
      taskId: "task_\(number)_0", executionId: "exec_\(number)", patternName: "pattern", patternVersion: "1.0.0", capability: "text",
      input: [:], timeout: .seconds(60), priority: .normal, context: .init(stepIndex: 0, totalSteps: 1))
  }

  /// Ends the connection of a session that nobody else holds, as the handler of a connection does, after a task for it.
  @Test func `A task that reaches its session after the end of the connection counts as unsent`() async throws {
    let news = Recorder<AgentAnnouncement>()
    try await withSession(peers: Peers(publish: { news.add($0) })) { _, dispatcher in
      let owner = SessionOwner(try await makeSession(of: dispatcher))
      try await register(try #require(owner.session))
      try await connection.eventLoop.submit {
        // The session gets the task on its event loop, after the end of the connection.
        dispatcher.received(.deliver(Self.task(7), agent: "agent_1", owner: World.other))
        owner.take()?.closed(.connectionLost("it broke"))
      }.get()
      try await eventually("the news") { news.all.contains(where: Self.ended(unsent: ["task_7_0"])) }
      #expect(!connection.types.contains("task"))
    }
  }

  @Test func `A task that was not written when the connection ended counts as unsent`() async throws {
    let news = Recorder<AgentAnnouncement>()
    try await withSession(peers: Peers(publish: { news.add($0) })) { session, dispatcher in
      try await register(session, limit: 4)
      dispatcher.received(.deliver(Self.task(6), agent: "agent_1", owner: World.other))
      try await eventually("a task") { taskCount() == 1 }
      try await setUnsent(0, session)
      for number in [7, 8] { dispatcher.received(.deliver(Self.task(number), agent: "agent_1", owner: World.other)) }
      try await eventually("the next tasks") { taskCount() == 3 }
      // The system has taken the first task since then, and not the whole of the second.
      connection.unsentBytes = connection.lastSize
      try await connection.eventLoop.submit { session.closed(.connectionLost("it broke")) }.get()
      try await eventually("the news") { news.all.contains(where: Self.ended(sent: ["task_6_0", "task_7_0"], unsent: ["task_8_0"])) }
    }
  }

  /// Ends a connection on which a task was never written.
  private func endsUnwritten(_ end: (AgentSession) async throws -> Void) async throws {
    let news = Recorder<AgentAnnouncement>()
    try await withSession(peers: Peers(publish: { news.add($0) })) { session, dispatcher in
      try await register(session)
      dispatcher.received(.deliver(Self.task(7), agent: "agent_1", owner: World.other))
      try await eventually("the task") { taskCount() == 1 }
      connection.unsentBytes = connection.lastSize
      try await end(session)
      try await eventually("the news") { news.all.contains(where: Self.ended(unsent: ["task_7_0"])) }
    }
  }

  @Test func `A task that was never written to a silent agent counts as unsent`() async throws {
    try await endsUnwritten { session in
      try await connection.eventLoop.submit {
        session.tick(at: .now(), silence: .seconds(100))
        session.closed(.closedByServer(code: .goingAway, reason: "silent"))
      }.get()
    }
  }

  @Test func `A task that was never written to an agent that says goodbye counts as unsent`() async throws {
    try await endsUnwritten { try await receive(.disconnect(AgentMessage.Disconnect(reason: "done", graceful: true)), $0) }
  }

  @Test func `A task that a closing connection does not take counts as unsent`() async throws {
    let news = Recorder<AgentAnnouncement>()
    try await withSession(peers: Peers(publish: { news.add($0) })) { session, dispatcher in
      try await register(session)
      connection.isClosing = true
      dispatcher.received(.deliver(Self.task(7), agent: "agent_1", owner: World.other))
      try await connection.eventLoop.submit { session.closed(.closedByServer(code: .goingAway, reason: "restart")) }.get()
      try await eventually("the news") { news.all.contains(where: Self.ended(unsent: ["task_7_0"])) }
      #expect(taskCount() == 0)
    }
  }

  /// The announcement of the end of the first connection.
  private static func ended(sent: Set<String> = [], unsent: Set<String>) -> (AgentAnnouncement) -> Bool {
    let cargo = Cargo(sent: sent, unsent: unsent)
    return { if case .connectionEnded("agent_1", _, cargo) = $0 { true } else { false } }
  }

  @Test func aTaskThatIsWithdrawnWhileItWaitsIsNotSentAndTakesNoPlace() async throws {
    try await withSession { session, dispatcher in
      try await register(session, limit: 1)
      try await setUnsent(1 << 20, session)
      await submit("exec_1", to: dispatcher)
      try await eventually("the task") { store.execution("exec_1")?.execution.status == .running }
      _ = await dispatcher.cancel("exec_1")
      try await eventually("the free place") { dispatcher.agent("agent_1")?.activeTasks == 0 }
      try await setUnsent(0, session)
      await submit("exec_2", to: dispatcher)
      try await eventually("the next task") { taskCount() > 0 }
      #expect(connection.types.filter { $0 != "registered" } == ["task"])
    }
  }
}

/// Holds a session as its connection does.
private final class SessionOwner: Sendable {
  private let held: Mutex<AgentSession?>

  init(_ session: AgentSession) { held = Mutex(session) }

  var session: AgentSession? { held.withLock { $0 } }

  /// Lets the session go.
  func take() -> AgentSession? {
    held.withLock { session in
      defer { session = nil }
      return session
    }
  }
}

/// Records the messages and the close frame of a connection.
private final class RecordingConnection: AgentConnection {
  private struct Recorded {
    var types: [String] = []
    var faults: [String] = []
    var typesAtEnd: [String] = []
    var codes: [WebSocketCloseCode] = []
    var pings: [UInt64] = []
    var unsentBytes = 0
    var isClosing = false
    var lastSize = 0
  }

  let id = "connection"
  let remoteAddress: String? = nil
  let eventLoop: any EventLoop = MultiThreadedEventLoopGroup.singleton.next()
  private let recorded = Mutex(Recorded())

  var types: [String] { recorded.withLock { $0.types } }
  var pings: [UInt64] { recorded.withLock { $0.pings } }
  var codes: [WebSocketCloseCode] { recorded.withLock { $0.codes } }
  /// The codes and messages of the errors sent.
  var faults: [String] { recorded.withLock { $0.faults } }
  /// The types of the messages sent before the first close.
  var typesAtEnd: [String] { recorded.withLock { $0.typesAtEnd } }

  var unsentBytes: Int {
    get { recorded.withLock { $0.unsentBytes } }
    set { recorded.withLock { $0.unsentBytes = newValue } }
  }

  /// Whether the connection takes no more messages.
  var isClosing: Bool {
    get { recorded.withLock { $0.isClosing } }
    set { recorded.withLock { $0.isClosing = newValue } }
  }

  /// The bytes of the last message.
  var lastSize: Int { recorded.withLock { $0.lastSize } }

  /// Forgets the messages so far.
  func forget() { recorded.withLock { $0.types = [] } }

  func send(_ text: ByteBuffer) -> Bool {
    guard let message = try? ControlPlaneMessage.decode(text.readableBytesView).message else { return false }
    return recorded.withLock { recorded in
      if recorded.isClosing { return false }
      recorded.types.append(message.kind.rawValue)
      recorded.lastSize = text.readableBytes
      if case .error(let fault) = message { recorded.faults.append("\(fault.code): \(fault.message)") }
      return true
    }
  }

  func close(code: WebSocketCloseCode, reason: String) {
    recorded.withLock { recorded in
      if recorded.codes.isEmpty { recorded.typesAtEnd = recorded.types }
      recorded.codes.append(code)
    }
  }

  func ping() {}

  func ping(_ number: UInt64) { recorded.withLock { $0.pings.append(number) } }
}
