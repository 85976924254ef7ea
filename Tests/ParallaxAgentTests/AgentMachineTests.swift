import ParallaxAPI
import Testing

@testable import ParallaxAgent

/// What an agent does, step by step and without a clock.
@Suite struct AgentMachineTests {
  /// A machine with its last actions in short form.
  private struct Bench {
    var machine: AgentMachine
    var sent: [(connection: Int, message: AgentMessage)] = []

    init(_ change: (inout AgentConfiguration) -> Void = { _ in }, random: Double = 1) {
      var configuration = AgentConfiguration(urls: ["ws://a:1", "ws://b:2"], id: "agent-1", capabilities: ["c"])
      change(&configuration)
      let endpoints = configuration.urls.compactMap { try? AgentEndpoint($0) }
      machine = AgentMachine(configuration, endpoints: endpoints, process: "p-1", random: { random })
    }

    mutating func handle(_ event: AgentMachine.Event) -> [String] {
      machine.handle(event).map { action in
        switch action {
        case .connect(let number, let endpoint): return "connect \(number) \(endpoint.authority)"
        case .send(let connection, let frame):
          guard let message = try? AgentMessage.decode(frame).message else { return "send nonsense" }
          sent.append((connection, message))
          return "send \(connection) \(message.kind.rawValue)"
        case .close(let connection, let code): return "close \(connection) \(code)"
        case .perform(let task): return "perform \(task.id)"
        case .cancel(let id): return "cancel \(id)"
        case .set(let timer, let delay): return "set \(timer) \(delay)"
        case .clear(let timer): return "clear \(timer)"
        case .report: return "report"
        case .end(let error): return "end \(error.map { "\($0.code)" } ?? "well")"
        }
      }.filter { $0 != "report" && !$0.hasPrefix("clear") }
    }

    @discardableResult
    mutating func receive(_ message: ControlPlaneMessage, id: String? = nil, at connection: Int = 1) -> [String] {
      handle(.received(connection, message, id: id))
    }

    mutating func register(at connection: Int = 1, maxMessageSize: Int? = nil) -> [String] {
      _ = handle(.opened(connection))
      return receive(
        .registered(
          .init(
            agentId: "agent-1", capabilities: ["c"],
            config: .init(heartbeatInterval: .seconds(10), taskTimeout: .seconds(60), maxMessageSize: maxMessageSize))), at: connection)
    }

    /// A machine that is registered at connection 1.
    static func registered(_ change: (inout AgentConfiguration) -> Void = { _ in }, maxMessageSize: Int? = nil) -> Bench {
      var bench = Bench(change)
      _ = bench.handle(.started)
      _ = bench.register(maxMessageSize: maxMessageSize)
      return bench
    }

    var registration: AgentMessage.Register? {
      sent.compactMap { if case .register(let register) = $0.message { register } else { nil } }.last
    }
  }

  private func task(_ id: String) -> ControlPlaneMessage {
    .task(
      .init(
        taskId: id, executionId: "exec_1", patternName: "p", patternVersion: "1.0.0", capability: "c", input: ["x": 1],
        timeout: .seconds(30), priority: .normal, context: .init(stepIndex: 0, totalSteps: 1)))
  }

  private var done: AgentMachine.Outcome { .result(AgentResult("done"), duration: .milliseconds(5)) }

  @Test func anAgentIsNamedByItsIDAlone() {
    let configuration = AgentConfiguration(urls: ["wss://user:hidden@a:1"], id: "agent-1", capabilities: ["c"])
    #expect("\(ParallaxAgent(configuration: configuration) { _ in AgentResult(1) })" == "ParallaxAgent(agent-1)")
  }

  @Test func registersAndWorks() {
    var bench = Bench()
    #expect(bench.handle(.started) == ["connect 1 a:1"])
    #expect(bench.handle(.opened(1)) == ["send 1 register", "set registration(1) 15.0 seconds"])
    #expect(bench.registration?.capabilities == ["c"] && bench.registration?.activeTasks == [])
    #expect(bench.register() == ["set heartbeat(1) 10.0 seconds"])
    #expect(bench.receive(task("t1"), id: "m1") == ["perform t1"])
    #expect(bench.receive(task("t1"), id: "m1").isEmpty, "a task that was given twice is worked on once")
    #expect(bench.handle(.finished("t1", done)) == ["send 1 task_result"])
    #expect(bench.receive(task("t1"), id: "m1") == ["send 1 task_result"], "and answered twice")
    bench.receive(.resultAck(.init(taskId: "t1")))
    #expect(bench.receive(task("t1"), id: "m1") == ["perform t1"], "an acknowledged outcome is forgotten")
  }

  @Test func outcomesSurviveALostConnectionAndAreSentAgain() {
    var bench = Bench.registered()
    for id in ["t1", "t2", "t3"] { bench.receive(task(id)) }
    _ = bench.handle(.finished("t2", done))
    #expect(bench.handle(.closed(1, code: nil, reason: "broken")) == ["set connect 1.0 seconds"])
    #expect(bench.handle(.finished("t1", done)).isEmpty, "the work goes on without a connection")
    #expect(bench.handle(.elapsed(.connect)) == ["connect 2 b:2"])
    #expect(bench.register(at: 2) == ["set heartbeat(2) 10.0 seconds", "send 2 task_result", "send 2 task_result"])
    #expect(bench.registration?.activeTasks == ["t3", "t2", "t1"], "running ones and unacknowledged ones")
    #expect(bench.registration?.process == "p-1", "the process lives")
    #expect(bench.handle(.closed(1, code: nil, reason: "late")).isEmpty)
  }

  @Test func aDrainingNodeIsLeftWhenAnotherHasTakenTheAgent() {
    var bench = Bench.registered()
    bench.receive(task("t1"))
    #expect(bench.receive(.reconnect(.init(reason: "drain", afterMs: 500))) == ["set connect 0.5 seconds"])
    #expect(bench.handle(.elapsed(.connect)) == ["connect 2 b:2"])
    #expect(bench.receive(.reconnect(.init(reason: "drain", afterMs: 500))).isEmpty, "one attempt at a time")
    _ = bench.handle(.opened(2))
    #expect(bench.handle(.finished("t1", done)) == ["send 1 task_result"], "until then the old connection serves")
    #expect(bench.register(at: 2).first == "close 1 1001")
    #expect(bench.receive(.error(.init(code: "REPLACED", message: "x", fatal: true)), at: 1).isEmpty, "by this agent itself")
    #expect(bench.handle(.closed(1, code: 1_001, reason: "")).isEmpty)
  }

  /// The node's two messages are on two connections, so that either may come first, and the answer may be lost.
  @Test func anAgentIsNotEndedByItsOwnRegistration() {
    var bench = Bench.registered()
    bench.receive(task("t1"))
    bench.receive(.reconnect(.init(reason: "drain", afterMs: 0)))
    _ = bench.handle(.elapsed(.connect))
    _ = bench.handle(.opened(2))
    let replaced = ControlPlaneMessage.error(.init(code: "REPLACED", message: "x", fatal: true))
    #expect(bench.receive(replaced, at: 1) == ["close 1 1001"])
    #expect(bench.register(at: 2).last == "set heartbeat(2) 10.0 seconds")
    #expect(bench.receive(replaced, at: 2) == ["cancel t1", "end replaced"], "by another process")
    var lost = Bench.registered()
    lost.receive(.reconnect(.init(reason: "drain", afterMs: 0)))
    _ = lost.handle(.elapsed(.connect))
    _ = lost.handle(.opened(2))
    _ = lost.handle(.closed(2, code: nil, reason: "broken"))
    #expect(lost.receive(replaced, at: 1) == ["close 1 1001", "set connect 2.0 seconds"])
  }

  @Test func aResultThatNestsTooDeeplyFailsItsTask() {
    var bench = Bench.registered()
    bench.receive(task("t1"))
    let deep = (0..<80).reduce(JSONValue.null) { value, _ in .array([value]) }
    #expect(bench.handle(.finished("t1", .result(AgentResult(deep), duration: .zero))) == ["send 1 task_error"])
  }

  @Test func anAttemptThatFailsWhileTheOldConnectionStandsEndsNothing() {
    var bench = Bench.registered { $0.reconnection.maxRetries = 1 }
    bench.receive(.reconnect(.init(reason: "drain", afterMs: 0)))
    for number in 2...5 {
      _ = bench.handle(.elapsed(.connect))
      #expect(bench.handle(.refused(number, reason: "no", retryAfter: nil)).first?.hasPrefix("set connect") == true)
    }
    #expect(bench.handle(.closed(1, code: 1_001, reason: "gone")) == ["end unreachable"])
  }

  @Test func waitsGrowUpToABoundAndRetriesEnd() {
    var bench = Bench { $0.reconnection.maxRetries = 7 }
    _ = bench.handle(.started)
    var waits: [String] = []
    for number in 1...7 {
      waits += bench.handle(.refused(number, reason: "no", retryAfter: number == 2 ? .seconds(9) : nil))
      _ = bench.handle(.elapsed(.connect))
    }
    #expect(waits == ["1.0", "9.0", "4.0", "8.0", "16.0", "30.0", "30.0"].map { "set connect \($0) seconds" })
    #expect(bench.handle(.refused(8, reason: "no", retryAfter: nil)) == ["end unreachable"])
    var endless = Bench { $0.reconnection.maxRetries = 0 }
    _ = endless.handle(.started)
    for number in 1...200 {
      #expect(endless.handle(.refused(number, reason: "no", retryAfter: nil)).first?.hasPrefix("set connect") == true)
      _ = endless.handle(.elapsed(.connect))
    }
    var once = Bench { $0.reconnection.isEnabled = false }
    _ = once.handle(.started)
    #expect(once.handle(.refused(1, reason: "no", retryAfter: nil)) == ["end unreachable"])
  }

  @Test func aRegistrationThatIsNotAnsweredIsTriedElsewhere() {
    var bench = Bench()
    _ = bench.handle(.started)
    _ = bench.handle(.opened(1))
    #expect(bench.handle(.elapsed(.registration(1))) == ["close 1 1001", "set connect 1.0 seconds"])
    #expect(bench.handle(.closed(1, code: nil, reason: "")).isEmpty)
    #expect(bench.handle(.elapsed(.connect)) == ["connect 2 b:2"])
  }

  @Test func aSilentNodeIsLeft() {
    var bench = Bench.registered()
    for _ in 0..<2 { #expect(bench.handle(.elapsed(.heartbeat(1))).first == "send 1 heartbeat") }
    bench.receive(.heartbeatAck(.init(serverTime: Timestamp(milliseconds: 0), nextHeartbeat: .seconds(10))))
    for _ in 0..<3 { #expect(bench.handle(.elapsed(.heartbeat(1))).first == "send 1 heartbeat") }
    #expect(bench.handle(.elapsed(.heartbeat(1))) == ["close 1 1001", "set connect 1.0 seconds"])
  }

  @Test func aCancelledTaskFreesItsPlaceWhenItsWorkHasEnded() {
    var bench = Bench.registered()
    let cancellation = ControlPlaneMessage.taskCancelled(.init(taskId: "t1", executionId: "exec_1", reason: "timeout"))
    bench.receive(task("t1"))
    #expect(bench.receive(cancellation) == ["cancel t1"])
    #expect(bench.handle(.finished("t1", done)) == ["send 1 task_cancelled_ack"], "a result that came all the same is dropped")
    bench.receive(task("t2"))
    _ = bench.handle(.finished("t2", done))
    let late = ControlPlaneMessage.taskCancelled(.init(taskId: "t2", executionId: "exec_1", reason: "decided"))
    #expect(bench.receive(late) == ["send 1 task_cancelled_ack"])
    #expect(bench.receive(late) == ["send 1 task_cancelled_ack"], "each one is confirmed, also for an unknown task")
    _ = bench.handle(.closed(1, code: nil, reason: ""))
    _ = bench.handle(.elapsed(.connect))
    #expect(bench.register(at: 2) == ["set heartbeat(2) 10.0 seconds"], "a result that is not wanted is not sent again")
  }

  @Test func whatTheNodeWouldRefuseAgainIsNotRepeated() {
    var bench = Bench.registered(maxMessageSize: 200)
    bench.receive(task("t1"), id: "m1")
    _ = bench.handle(.finished("t1", .result(AgentResult(.string(String(repeating: "x", count: 500))), duration: .zero)))
    guard case .taskError(let failure)? = bench.sent.last?.message else {
      Issue.record("no error")
      return
    }
    #expect(failure.error.code == "MESSAGE_TOO_LARGE" && failure.error.message.contains("200") && failure.retryable == false)
    bench.receive(.error(.init(code: "INVALID_MESSAGE", message: "no")), id: "m1")
    _ = bench.handle(.closed(1, code: nil, reason: ""))
    _ = bench.handle(.elapsed(.connect))
    #expect(bench.register(at: 2).count == 1)
  }

  @Test(arguments: [Double.nan, 1.5, -0.1])
  func aConfidenceThatIsNoneFailsItsTask(confidence: Double) {
    var bench = Bench.registered()
    bench.receive(task("t1"))
    #expect(bench.handle(.finished("t1", .result(AgentResult("x", confidence: confidence), duration: .zero))) == ["send 1 task_error"])
  }

  @Test func anotherProcessOrAnOperatorEndsTheAgent() {
    var bench = Bench.registered()
    bench.receive(task("t1"))
    #expect(bench.receive(.error(.init(code: "REPLACED", message: "x", fatal: true))) == ["cancel t1", "end replaced"])
    #expect(bench.handle(.elapsed(.connect)).isEmpty, "nothing follows the end")
    var disconnected = Bench.registered()
    #expect(disconnected.handle(.closed(1, code: 1_000, reason: "by an operator")) == ["end disconnected"])
  }

  @Test func anAgentWhoseIDIsInUseWaitsLongAndEndsAtLast() {
    var bench = Bench { $0.reconnection.maxRetries = 1 }
    let inUse = ControlPlaneMessage.error(.init(code: "AGENT_ID_IN_USE", message: "x", fatal: true))
    _ = bench.handle(.started)
    _ = bench.handle(.opened(1))
    #expect(bench.receive(inUse, at: 1) == ["close 1 1001", "set connect 30.0 seconds"])
    #expect(bench.handle(.closed(1, code: 1_008, reason: "idInUse")).isEmpty)
    _ = bench.handle(.elapsed(.connect))
    _ = bench.handle(.opened(2))
    #expect(bench.receive(inUse, at: 2).last == "end unreachable")
  }

  @Test func aShutdownWaitsForWorkAndItsAcknowledgement() {
    var bench = Bench.registered()
    bench.receive(task("t1"))
    #expect(bench.handle(.stopped) == ["set stop 30.0 seconds", "send 1 status_update"])
    #expect(bench.handle(.finished("t1", done)) == ["send 1 task_result"])
    #expect(bench.handle(.closed(1, code: nil, reason: "")).count == 1, "an outcome is worth another connection")
    _ = bench.handle(.elapsed(.connect))
    #expect(bench.register(at: 2) == ["set heartbeat(2) 10.0 seconds", "send 2 status_update", "send 2 task_result"])
    #expect(bench.receive(.resultAck(.init(taskId: "t1")), at: 2) == ["send 2 disconnect", "close 2 1000", "end well"])
    var idle = Bench()
    _ = idle.handle(.started)
    #expect(idle.handle(.stopped).last == "end well")
  }

  @Test func aShutdownHasAnEnd() {
    var bench = Bench.registered()
    bench.receive(task("t1"))
    _ = bench.handle(.stopped)
    #expect(bench.handle(.elapsed(.stop)) == ["send 1 disconnect", "close 1 1000", "cancel t1", "end well"])
    guard case .disconnect(let farewell)? = bench.sent.last?.message else {
      Issue.record("no disconnect")
      return
    }
    #expect(farewell.graceful == false)
  }
}

/// The addresses of nodes.
@Suite struct AgentEndpointTests {
  @Test(arguments: [
    ("http://a", "a", "/ws/agent"), ("https://a:8443/", "a:8443", "/ws/agent"), ("ws://a:80/ws/agent", "a", "/ws/agent"),
    ("wss://[::1]:9/x?y=z", "[::1]:9", "/x?y=z"), ("ws://127.0.0.1:8080?k=v", "127.0.0.1:8080", "/ws/agent?k=v"),
  ])
  func `an address has a host, a port and a path`(text: String, authority: String, target: String) throws {
    let endpoint = try AgentEndpoint(text)
    #expect(endpoint.authority == authority && endpoint.target == target)
  }

  @Test(arguments: ["a:8080", "ftp://a", "ws://", "ws://a:0", "ws://a:70000", "ws://[::1]x", "ws://a b"])
  func `an address that is none is refused`(text: String) {
    let error = #expect(throws: ParallaxAgentError.self) { try AgentEndpoint(text) }
    #expect(error?.code == .invalidConfiguration && error?.description.contains(text) == true)
  }

  @Test func `credentials in an address are refused and not shown`() {
    let error = #expect(throws: ParallaxAgentError.self) { try AgentEndpoint("ws://user:secret@a") }
    #expect(error?.description.contains("secret") == false)
  }
}
