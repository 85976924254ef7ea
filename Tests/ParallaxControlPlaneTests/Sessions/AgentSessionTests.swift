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

  private func withSession(
    heartbeatTimeout: Duration = .seconds(90), storesRegistrations: Bool = true, peers: Peers = Peers(),
    _ body: (AgentSession, Dispatcher) async throws -> Void
  ) async throws {
    let registry = MetricsRegistry()
    let clock = NodeClock()
    let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    let dispatcher = Dispatcher(
      settings: DispatchMachine.Settings(session: World.session), store: store, retention: .seconds(60),
      peers: peers, timerLoop: connection.eventLoop, clock: clock, metrics: try DispatchMetrics(registry: registry), logger: logger)
    let metrics = try SessionMetrics(registry: registry)
    let settings = AgentSessionMachine.Settings(
      heartbeatInterval: .seconds(10), heartbeatTimeout: heartbeatTimeout, taskTimeout: .seconds(300), maxMessagesPerSecond: 100)
    let connection = connection
    let session = try await connection.eventLoop.submit {
      let machine = AgentSessionMachine(settings: settings, agentID: "agent_1", capabilities: [], at: clock.now.instant)
      return AgentSession(
        machine: machine, connection: connection, dispatcher: dispatcher, clock: clock, metrics: metrics, logger: logger)
    }.get()
    try await withThrowingTaskGroup(of: Void.self) { group in
      if storesRegistrations { group.addTask { try await dispatcher.run() } }
      try await body(session, dispatcher)
      group.cancelAll()
    }
  }

  private func receive(_ message: AgentMessage, _ session: AgentSession) async throws {
    let bytes = ByteBuffer(bytes: try message.encoded(id: "m", timestamp: nil))
    try await connection.eventLoop.submit { session.received(bytes) }.get()
  }

  private func register(_ session: AgentSession, limit: Int = 1, maxMessageSize: Int? = nil) async throws {
    let config = AgentMessage.Register.Config(maxConcurrentTasks: limit, maxMessageSize: maxMessageSize)
    try await receive(.register(AgentMessage.Register(capabilities: ["text"], config: config, activeTasks: [])), session)
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

  @Test func `A task that reaches its session after the end of the connection counts as unsent`() async throws {
    let news = Recorder<AgentAnnouncement>()
    try await withSession(peers: Peers(publish: { news.add($0) })) { session, dispatcher in
      try await register(session)
      let task = ControlPlaneMessage.Task(
        taskId: "task_7_0", executionId: "exec_7", patternName: "pattern", patternVersion: "1.0.0", capability: "text", input: [:],
        timeout: .seconds(60), priority: .normal, context: .init(stepIndex: 0, totalSteps: 1))
      try await connection.eventLoop.submit {
        // The session gets the task on its event loop, after the end of the connection.
        dispatcher.received(.deliver(task, agent: "agent_1", owner: World.other))
        session.closed(.connectionLost("it broke"))
      }.get()
      let unsent = Cargo(sent: [], unsent: ["task_7_0"])
      try await eventually("the news") {
        news.all.contains { if case .connectionEnded("agent_1", _, unsent) = $0 { true } else { false } }
      }
      #expect(!connection.types.contains("task"))
    }
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

/// Records the messages and the close frame of a connection.
private final class RecordingConnection: AgentConnection {
  private struct Recorded {
    var types: [String] = []
    var typesAtEnd: [String] = []
    var codes: [WebSocketCloseCode] = []
    var unsentBytes = 0
  }

  let id = "connection"
  let remoteAddress: String? = nil
  let eventLoop: any EventLoop = MultiThreadedEventLoopGroup.singleton.next()
  private let recorded = Mutex(Recorded())

  var types: [String] { recorded.withLock { $0.types } }
  var codes: [WebSocketCloseCode] { recorded.withLock { $0.codes } }
  /// The types of the messages sent before the first close.
  var typesAtEnd: [String] { recorded.withLock { $0.typesAtEnd } }

  var unsentBytes: Int {
    get { recorded.withLock { $0.unsentBytes } }
    set { recorded.withLock { $0.unsentBytes = newValue } }
  }

  func send(_ text: ByteBuffer) {
    guard let kind = try? ControlPlaneMessage.decode(text.readableBytesView).message.kind else { return }
    recorded.withLock { $0.types.append(kind.rawValue) }
  }

  func close(code: WebSocketCloseCode, reason: String) {
    recorded.withLock { recorded in
      if recorded.codes.isEmpty { recorded.typesAtEnd = recorded.types }
      recorded.codes.append(code)
    }
  }

  func ping() {}
}
