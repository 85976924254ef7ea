import ParallaxAPI
import Testing

@testable import ParallaxControlPlane

@Suite struct AgentSessionMachineTests {
  private typealias Action = AgentSessionMachine.Action

  private static let settings = AgentSessionMachine.Settings(
    heartbeatInterval: .seconds(10), heartbeatTimeout: .seconds(90), taskTimeout: .seconds(300), maxMessagesPerSecond: 100)
  private let wall = Timestamp(milliseconds: 1_768_473_000_000)

  private func session(capabilities: [String] = [], settings: AgentSessionMachine.Settings = settings) -> AgentSessionMachine {
    AgentSessionMachine(settings: settings, agentID: "agent_1", capabilities: capabilities, at: .zero)
  }

  private func moment(_ instant: Duration) -> Moment { Moment(instant: instant, wall: wall + instant) }

  private func receive(_ message: AgentMessage, id: String? = "m", at instant: Duration = .zero, _ session: inout AgentSessionMachine)
    -> [Action]
  {
    session.received(.success(ReceivedAgentMessage(id: id, message: message)), at: moment(instant))
  }

  private func register(_ register: AgentMessage.Register = AgentMessage.Register(capabilities: ["text"])) -> AgentMessage {
    .register(register)
  }

  private func registered(epoch: Int64 = 7) -> AgentSessionMachine {
    var session = session()
    _ = receive(register(), &session)
    _ = session.registrationStored(epoch: epoch, at: moment(.zero))
    return session
  }

  private func fault(_ code: String, _ message: String, id: String? = "m", fatal: Bool = false) -> Action {
    .reply(.error(ControlPlaneMessage.ProtocolError(code: code, message: message, fatal: fatal)), inAnswerTo: id)
  }

  private let result = AgentMessage.TaskResult(taskId: "task_1_0", executionId: "exec_1", result: 1)

  // MARK: Places

  @Test func heartbeatsWithTasksAndAcknowledgedCancellationsReportPlaces() {
    var session = registered()
    let beat = AgentMessage.Heartbeat(status: "busy", activeTasks: ["task_1_0", 7])
    #expect(receive(.heartbeat(beat), &session).first == .reported(["task_1_0"]))
    #expect(receive(.heartbeat(AgentMessage.Heartbeat(activeTasks: 1)), &session).count == 1)
    let freed = AgentMessage.TaskCancelledAck(taskId: "task_1_0")
    #expect(receive(.taskCancelledAck(freed), &session) == [.placeFreed("task_1_0")])
  }

  // MARK: Registration

  @Test func aRegistrationThatTheStoreLostIsRenewedWithoutAMessageToTheAgent() throws {
    var session = registered(epoch: 7)
    let again = session.storeLost()
    guard case .register(let registration)? = again.first, again.count == 1 else { throw Unexpected(again) }
    #expect(registration.agentID == "agent_1" && registration.capabilities == ["text"])
    #expect(session.storeLost() == [], "one at a time")
    #expect(receive(.taskResult(result), &session) == [.taskCompleted(result, messageID: "m")])
    #expect(session.registrationStored(epoch: 8, at: moment(.zero)) == [.renewed(agentID: "agent_1", from: 7, epoch: 8)])
    #expect(session.registration?.epoch == 8)
  }

  @Test func aRenewedRegistrationHasTheCapabilitiesAndTheLimitOfTheLastUpdate() throws {
    var session = registered()
    _ = receive(.statusUpdate(AgentMessage.StatusUpdate(capabilities: ["audio"], maxTasks: 7)), &session)
    guard case .register(let registration)? = session.storeLost().first else { throw Unexpected([]) }
    #expect(registration.capabilities == ["audio"] && registration.limit == 7)
  }

  @Test func aChangeDuringTheRenewalOfARegistrationIsStoredAfterIt() {
    var session = registered(epoch: 7)
    _ = session.storeLost()
    _ = receive(.statusUpdate(AgentMessage.StatusUpdate(capabilities: ["audio"], maxTasks: 7)), &session)
    #expect(
      session.registrationStored(epoch: 8, at: moment(.zero)) == [
        .renewed(agentID: "agent_1", from: 7, epoch: 8), .changed(capabilities: ["audio"], limit: 7, isDraining: nil),
      ])
  }

  @Test func aFailedRenewalOfARegistrationIsRetriedLater() {
    var session = registered(epoch: 7)
    _ = session.storeLost()
    #expect(session.registrationFailed("no store") == [.renewLater])
    #expect(session.registration?.epoch == 7)
    #expect(session.storeLost().count == 1)
    _ = session.connectionClosed()
    #expect(session.storeLost() == [])
  }

  private struct Unexpected: Error {
    let actions: [AgentSessionMachine.Action]
    init(_ actions: [AgentSessionMachine.Action]) { self.actions = actions }
  }

  @Test func aRegistrationIsStoredThenConfirmedThenTheAgentGetsTasks() {
    var session = session()
    let message = AgentMessage.Register(
      capabilities: ["text"], metadata: ["name": "n", "region": "eu"], config: AgentMessage.Register.Config(maxConcurrentTasks: 3),
      activeTasks: ["task_1_0"], process: "p")
    let registration = AgentSessionMachine.Registration(
      agentID: "agent_1", name: "n", capabilities: ["text"], limit: 3, metadata: ["name": "n", "region": "eu"], activeTasks: ["task_1_0"],
      process: "p")
    #expect(receive(register(message), id: "m1", &session) == [.register(registration)])
    #expect(session.registration == nil)
    let config = ControlPlaneMessage.Registered.Config(
      heartbeatInterval: .seconds(10), taskTimeout: .seconds(300), maxMessageSize: 1 << 20)
    #expect(
      session.registrationStored(epoch: 7, at: moment(.zero)) == [
        .reply(.registered(ControlPlaneMessage.Registered(agentId: "agent_1", capabilities: ["text"], config: config)), inAnswerTo: "m1"),
        .registered(registration, epoch: 7),
      ])
    #expect(session.registration?.agentID == "agent_1" && session.registration?.epoch == 7)
  }

  @Test func capabilitiesMayComeFromTheHandshakeAndTheDefaultLimitIsOne() {
    var session = session(capabilities: ["from-header"])
    guard case .register(let registration)? = receive(register(AgentMessage.Register(capabilities: nil)), &session).first else {
      Issue.record("not registering")
      return
    }
    #expect(registration.capabilities == ["from-header"] && registration.limit == 1 && registration.activeTasks == nil)
  }

  @Test(arguments: [
    (AgentMessage.Register(capabilities: nil), "register: capabilities: expected at least one"),
    (AgentMessage.Register(capabilities: []), "register: capabilities: expected at least one"),
    (
      AgentMessage.Register(capabilities: ["ok"], config: .init(maxConcurrentTasks: 0)),
      "register: config.maxConcurrentTasks: expected 1 to 10000, found 0"
    ),
    (
      AgentMessage.Register(capabilities: ["ok"], config: .init(maxConcurrentTasks: 10_001)),
      "register: config.maxConcurrentTasks: expected 1 to 10000, found 10001"
    ),
    (AgentMessage.Register(capabilities: ["ok"], process: ""), "register: process: expected 1 to 128 bytes, found 0"),
    (
      AgentMessage.Register(capabilities: ["ok"], process: String(repeating: "x", count: 129)),
      "register: process: expected 1 to 128 bytes, found 129"
    ),
    (AgentMessage.Register(capabilities: Array(repeating: "x", count: 1_001)), "register: capabilities: expected at most 1000, found 1001"),
    (
      AgentMessage.Register(capabilities: ["ok", "not ok"]),
      "register: capabilities[1]: expected 1 to 128 letters, digits, '-', '_', ':' or '.', found \"not ok\""
    ),
  ])
  func aRefusedRegistrationMayBeCorrected(_ message: AgentMessage.Register, _ text: String) {
    var session = session()
    #expect(receive(register(message), &session) == [fault("INVALID_MESSAGE", text)])
    #expect(receive(register(), &session).count == 1)
  }

  @Test func messagesDuringTheRegistrationWaitForIt() {
    var session = session()
    _ = receive(register(), &session)
    #expect(receive(.taskResult(result), id: "r1", &session) == [])
    #expect(receive(.statusUpdate(AgentMessage.StatusUpdate(status: "draining")), &session) == [])
    let actions = session.registrationStored(epoch: 1, at: moment(.zero))
    #expect(
      actions.dropFirst(2) == [.taskCompleted(result, messageID: "r1"), .changed(capabilities: nil, limit: nil, isDraining: true)])
  }

  @Test func tooManyMessagesDuringTheRegistrationEndTheSession() {
    var generous = Self.settings
    generous.maxMessagesPerSecond = 10_000
    var session = session(settings: generous)
    _ = receive(register(), &session)
    for _ in 0..<1_000 { _ = receive(.taskResult(result), &session) }
    #expect(
      receive(.taskResult(result), &session) == [
        fault("RATE_LIMITED", "wait for registered before sending more", fatal: true), .close(.tooManyMessages),
      ])
    #expect(session.registrationStored(epoch: 3, at: moment(.zero)) == [.left(agentID: "agent_1", epoch: 3, graceful: false)])
  }

  @Test func onlyHeartbeatsAreAcceptedBeforeARegistration() {
    var session = session()
    #expect(receive(.taskResult(result), &session) == [fault("NOT_REGISTERED", "send register before task_result")])
    let ack = ControlPlaneMessage.HeartbeatAck(serverTime: wall, nextHeartbeat: .seconds(10))
    #expect(receive(.heartbeat(AgentMessage.Heartbeat()), &session) == [.reply(.heartbeatAck(ack), inAnswerTo: "m")])
  }

  @Test func aSecondRegistrationIsRefused() {
    var session = registered()
    #expect(receive(register(), &session) == [fault("ALREADY_REGISTERED", "send status_update to change capabilities or limits")])
    #expect(session.registration?.epoch == 7)
  }

  @Test func aRegistrationThatCannotBeStoredEndsTheSession() {
    var session = session()
    _ = receive(register(), id: "m1", &session)
    #expect(session.registrationFailed("no store") == [fault("NOT_READY", "no store", id: "m1", fatal: true), .close(.refused)])
    #expect(receive(.taskResult(result), &session) == [])
    #expect(session.registrationFailed("again") == [])
  }

  @Test func aRegistrationStoredAfterTheEndOfTheConnectionIsRemoved() {
    var session = session()
    _ = receive(register(), &session)
    #expect(session.connectionClosed() == [])
    #expect(session.registrationStored(epoch: 4, at: moment(.zero)) == [.left(agentID: "agent_1", epoch: 4, graceful: false)])
  }

  // MARK: Messages

  @Test func resultsAndErrorsReachTheDispatcherWithTheirMessageID() {
    var session = registered()
    #expect(receive(.taskResult(result), id: "r1", &session) == [.taskCompleted(result, messageID: "r1")])
    let error = AgentMessage.TaskError(taskId: "t", executionId: "e", error: ExecutionFailure(code: "C", message: "M"))
    #expect(receive(.taskError(error), id: nil, &session) == [.taskFailed(error, messageID: nil)])
  }

  /// The control plane gives these codes itself, and believes them.
  @Test(arguments: [
    "AGENT_LEFT", "AGENT_LOST", "AGENT_LOST_AGAIN", "AGENT_LOST_AMONG_OTHERS", "AGENT_LOST_UNSENT", "AGENT_LOST_OTHERWISE",
    "AGGREGATION_FAILED", "NO_AGENTS", "NO_CONSENSUS", "STORE_UNAVAILABLE", "TIMEOUT",
  ])
  func anErrorWithACodeOfTheControlPlaneIsRenamed(_ code: String) {
    var session = registered()
    var error = AgentMessage.TaskError(
      taskId: "t", executionId: "e", error: ExecutionFailure(code: code, message: "M", details: ["x": 1]), retryable: true)
    let actions = receive(.taskError(error), &session)
    error.error.code = "TASK_\(code)"
    #expect(actions == [.taskFailed(error, messageID: "m")])
  }

  @Test(arguments: ["TASK_FAILED", "MESSAGE_TOO_LARGE", "INVALID_RESULT", "AGENT_LOSTLESS", "agent_lost", "TASK_TIMEOUT"])
  func anErrorWithAnotherCodeKeepsIt(_ code: String) {
    var session = registered()
    let error = AgentMessage.TaskError(taskId: "t", executionId: "e", error: ExecutionFailure(code: code, message: "M"))
    #expect(receive(.taskError(error), &session) == [.taskFailed(error, messageID: "m")])
  }

  @Test func aResultSaysWhetherItSucceeded() {
    var session = registered()
    for status in [nil, "completed", "success"] {
      var result = result
      result.status = status
      #expect(receive(.taskResult(result), &session) == [.taskCompleted(result, messageID: "m")])
    }
    for status in ["failed", "error"] {
      var result = result
      result.status = status
      let failure = ExecutionFailure(code: "TASK_FAILED", message: "the agent reported a failure", details: 1)
      let error = AgentMessage.TaskError(taskId: "task_1_0", executionId: "exec_1", error: failure)
      #expect(receive(.taskResult(result), &session) == [.taskFailed(error, messageID: "m")])
    }
    var odd = result
    odd.status = "perhaps"
    let failure = ExecutionFailure(
      code: "INVALID_RESULT", message: "task_result: status: expected completed or failed, found \"perhaps\"")
    let error = AgentMessage.TaskError(taskId: "task_1_0", executionId: "exec_1", error: failure)
    #expect(receive(.taskResult(odd), &session) == [.taskFailed(error, messageID: "m")])
  }

  @Test(arguments: ["", "a b", "a{b}", String(repeating: "x", count: 129)])
  func invalidTaskIDsAreRefused(_ id: String) {
    var session = registered()
    let text = "expected the id of a task that was sent, found \"\(id.prefix(64))\""
    let result = AgentMessage.TaskResult(taskId: id, executionId: "exec_1", result: nil)
    #expect(receive(.taskResult(result), &session) == [fault("INVALID_MESSAGE", "task_result: taskId: \(text)")])
    let error = AgentMessage.TaskError(taskId: "task_1_0", executionId: id, error: ExecutionFailure(code: "C", message: "M"))
    #expect(receive(.taskError(error), &session) == [fault("INVALID_MESSAGE", "task_error: executionId: \(text)")])
  }

  @Test func anUnreadableMessageIsAnsweredAndTheSessionContinues() {
    var session = registered()
    let unknown = AgentProtocolFault(id: "m3", code: "UNKNOWN_TYPE", message: "unknown message type \"x\"")
    #expect(session.received(.failure(unknown), at: moment(.zero)) == [fault("UNKNOWN_TYPE", "unknown message type \"x\"", id: "m3")])
    #expect(receive(.taskResult(result), &session) == [.taskCompleted(result, messageID: "m")])
  }

  @Test func aStatusUpdateChangesCapabilitiesLimitsAndDraining() {
    var session = registered()
    func update(_ update: AgentMessage.StatusUpdate) -> [Action] { receive(.statusUpdate(update), &session) }
    #expect(update(.init(capabilities: ["a", "b"], maxTasks: 5)) == [.changed(capabilities: ["a", "b"], limit: 5, isDraining: nil)])
    for status in ["idle", "busy", "active"] {
      #expect(update(.init(status: status)) == [.changed(capabilities: nil, limit: nil, isDraining: false)])
    }
    #expect(update(.init(status: "draining")) == [.changed(capabilities: nil, limit: nil, isDraining: true)])
    #expect(
      update(.init(status: "gone")) == [
        fault("INVALID_MESSAGE", "status_update: status: expected idle, busy or draining, found \"gone\"")
      ])
    #expect(update(.init(maxTasks: 0)) == [fault("INVALID_MESSAGE", "status_update: maxTasks: expected 1 to 10000, found 0")])
    #expect(update(.init(capabilities: [])) == [fault("INVALID_MESSAGE", "status_update: capabilities: expected at least one")])
  }

  // MARK: Rate

  @Test func aBurstBeyondTenSecondsWorthEndsTheSession() {
    var session = registered()
    for _ in 0..<999 { _ = receive(.heartbeat(AgentMessage.Heartbeat()), &session) }
    #expect(
      receive(.heartbeat(AgentMessage.Heartbeat()), &session) == [
        fault("RATE_LIMITED", "more than 100 messages a second", id: nil, fatal: true),
        .left(agentID: "agent_1", epoch: 7, graceful: false), .close(.tooManyMessages),
      ])
    #expect(receive(.heartbeat(AgentMessage.Heartbeat()), &session) == [])
  }

  @Test func anAgentMaySendTheOutcomesOfAllTasksThatItReportsAtOnce() {
    var session = session()
    let tasks = (1...3_000).map { "task_\($0)_0" }
    _ = receive(register(AgentMessage.Register(capabilities: ["text"], activeTasks: tasks)), &session)
    _ = session.registrationStored(epoch: 7, at: moment(.zero))
    for number in 1...3_999 where receive(.heartbeat(AgentMessage.Heartbeat()), &session).count != 1 {
      Issue.record("limited at message \(number)")
      return
    }
    #expect(receive(.heartbeat(AgentMessage.Heartbeat()), &session).last == .close(.tooManyMessages))
  }

  @Test func anAgentWithinTheRateIsNeverLimited() {
    var settings = Self.settings
    settings.maxMessagesPerSecond = 600
    var session = session(settings: settings)
    for number in 1...20_000 {
      let actions = receive(.heartbeat(AgentMessage.Heartbeat()), at: .microseconds(1_700 * number), &session)
      if actions.count != 1 { Issue.record("limited at message \(number)"); return }
    }
  }

  @Test func theBurstRefillsWithTime() {
    var session = registered()
    for _ in 0..<999 { _ = receive(.heartbeat(AgentMessage.Heartbeat()), &session) }
    for _ in 0..<100 { #expect(receive(.heartbeat(AgentMessage.Heartbeat()), at: .seconds(1), &session).count == 1) }
    #expect(receive(.heartbeat(AgentMessage.Heartbeat()), at: .seconds(1), &session).last == .close(.tooManyMessages))
  }

  // MARK: End

  @Test func aSilentAgentIsDisconnected() {
    var session = registered()
    _ = receive(.heartbeat(AgentMessage.Heartbeat()), at: .seconds(60), &session)
    #expect(session.timePassed(at: .milliseconds(89_999), silence: .seconds(1_000)) == [])
    #expect(session.timePassed(at: .seconds(90), silence: .seconds(1_000)) == [.ping])
    #expect(session.timePassed(at: .seconds(91), silence: .seconds(1_000)) == [], "one ping at a time")
    #expect(session.timePassed(at: .seconds(120), silence: .seconds(1_000)) == [.ping])
    #expect(session.timePassed(at: .milliseconds(149_999), silence: .seconds(1_000)) == [])
    #expect(
      session.timePassed(at: .seconds(150), silence: .seconds(1_000)) == [
        .left(agentID: "agent_1", epoch: 7, graceful: false), .close(.silent),
      ])
    #expect(session.timePassed(at: .seconds(300), silence: .seconds(1_000)) == [])
  }

  @Test func anyFrameIsASignOfLife() {
    var session = registered()
    // The agent sends only pongs and fragments: its silence never exceeds the interval of pings.
    for second in stride(from: 30, through: 600, by: 30) {
      #expect(session.timePassed(at: .seconds(second), silence: .seconds(30)) == [.ping])
      #expect(session.timePassed(at: .seconds(second + 1), silence: .zero) == [])
    }
    #expect(session.timePassed(at: .seconds(700), silence: .seconds(99)).last == .close(.silent))
  }

  @Test func anAgentThatDoesNotRegisterInTimeIsDisconnected() {
    var session = session()
    _ = receive(.heartbeat(AgentMessage.Heartbeat()), at: .seconds(29), &session)
    #expect(session.timePassed(at: .milliseconds(29_999), silence: .seconds(1_000)) == [])
    #expect(
      session.timePassed(at: .seconds(30), silence: .seconds(1_000)) == [
        fault("NOT_REGISTERED", "no register within 30s", id: nil, fatal: true), .close(.notRegistered),
      ])
  }

  @Test func aSlowRegistrationCountsAsSilentOnlyAfterTheTimeout() {
    var session = session()
    _ = receive(register(), &session)
    #expect(session.timePassed(at: .seconds(89), silence: .seconds(1_000)) == [.ping])
    #expect(session.timePassed(at: .seconds(90), silence: .seconds(1_000)) == [.close(.silent)])
  }

  @Test func aReplacedSessionGetsAnErrorAndEnds() {
    var session = registered()
    #expect(
      session.replaced() == [
        fault("REPLACED", "another connection registered as agent_1", id: nil, fatal: true),
        .left(agentID: "agent_1", epoch: 7, graceful: false), .close(.replaced),
      ])
    #expect(session.replaced() == [])
    #expect(session.connectionClosed() == [])
  }

  @Test(arguments: [(nil, true), (true, true), (false, false)] as [(Bool?, Bool)])
  func aGoodbyeIsGracefulUnlessItSaysOtherwise(_ said: Bool?, _ graceful: Bool) {
    var session = registered()
    #expect(
      receive(.disconnect(AgentMessage.Disconnect(graceful: said)), &session) == [
        .left(agentID: "agent_1", epoch: 7, graceful: graceful), .close(.left),
      ])
    #expect(session.registration == nil)
    #expect(session.connectionClosed() == [])
  }

  @Test func anUnregisteredAgentLeavesNothingBehind() {
    var session = session()
    #expect(receive(.disconnect(AgentMessage.Disconnect()), &session) == [.close(.left)])
    #expect(session.connectionClosed() == [])
    #expect(session.timePassed(at: .seconds(500), silence: .seconds(1_000)) == [])
  }

  @Test func aLostConnectionIsNotAGracefulEnd() {
    var session = registered()
    #expect(session.connectionClosed() == [.left(agentID: "agent_1", epoch: 7, graceful: false)])
    #expect(session.connectionClosed() == [])
    #expect(receive(.taskResult(result), &session) == [])
  }

  @Test func anHourOfSilenceAllowsNoLargerBurstThanTenSeconds() {
    var session = registered()
    let later = Duration.seconds(3_600)
    var taken = 0
    while receive(.heartbeat(AgentMessage.Heartbeat()), at: later, &session).count == 1, taken < 5_000 { taken += 1 }
    #expect(taken == 1_000)
  }
}
