import ParallaxAPI
import ParallaxConcurrency
import ParallaxHA
import ParallaxState
import ParallaxTesting
import Synchronization
import TestSupport
import Testing

@testable import ParallaxControlPlane

/// The effects of the steps of a shutdown on a node; ``ShutdownOrderTests`` has their order and times.
@Suite(.timeLimit(.minutes(1))) struct ShutdownPartsTests {
  private let node: NodeParts
  private let clock = ManualClock()

  init() throws {
    node = try NodeParts()
  }

  /// Performs the steps after the server has stopped accepting connections.
  private func stop() async {
    let shutdown = Shutdown(
      delay: .zero, timeout: .seconds(30),
      parts: Shutdown.Parts(
        health: node.assembly.health, election: node.assembly.election, dispatcher: node.assembly.dispatcher, watch: node.assembly.watch,
        listener: node.assembly.listener, successors: { [NodeParts.other] }),
      clock: NodeClock(clock), logger: node.logger)
    await clock.advance { await shutdown.acceptingEnded() }
  }

  @Test func `Executions without a waiting caller are handed to another node`() async throws {
    try await node.running {
      let id = await node.submit()
      let received = Deferred<NodeMessage>()
      try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask { [inboxes = node.backend.inboxes] in
          try await inboxes.receive(at: NodeParts.other, limit: 10) { if let message = $0.first?.message { received.set(message) } }
        }
        defer { group.cancelAll() }
        await stop()
        let message = try await eventualValue("a message", within: .seconds(5)) { received.current }
        #expect(message == .adopt(execution: id, owner: node.assembly.session))
      }
    }
  }

  @Test func `Agents are asked to reconnect, and disconnected if they stay`() async throws {
    let link = RecordedLink()
    let registration = AgentSessionMachine.Registration(
      agentID: "agent_1", name: nil, capabilities: ["text"], limit: 1, metadata: nil, activeTasks: [])
    node.assembly.dispatcher.registered(registration, epoch: 1, link: link)
    await stop()
    #expect(link.events == ["reconnect", "restart"])
    #expect(clock.now.sinceStart >= ShutdownPlan.longestSpread + ShutdownPlan.agentReaction)
  }

  @Test func `Callers that wait for executions of other nodes are answered`() async throws {
    let execution = Execution(
      id: "exec_1", pattern: World.pattern(), input: [:], createdAt: World.start, deadline: World.start + .seconds(60),
      owner: NodeParts.other)
    _ = try await node.backend.state.create(StoredExecution(execution: execution, tasks: []))
    let answer = Deferred<StoredExecution?>()
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { [watch = node.assembly.watch] in
        answer.set(try await watch.end(of: "exec_1", within: .seconds(3_600)) { nil })
      }
      defer { group.cancelAll() }
      await stop()
      let end = try await eventualValue("the answer", within: .seconds(5)) { answer.current }
      #expect(end == nil)
    }
  }
}

/// A connection that records the messages to its agent.
private final class RecordedLink: AgentLink {
  private let recorded = Mutex<[String]>([])

  let lastSeen: Timestamp? = World.start
  var events: [String] { recorded.withLock { $0 } }

  func send(_ message: ControlPlaneMessage, inAnswerTo id: String?) { note(message.kind.rawValue) }
  func ping(_ number: UInt64) { note("ping") }
  func registrationEnded(_ outcome: Result<Int64, any Error>, orElse: @escaping @Sendable () -> Void) { note("registrationEnded") }
  func replace() { note("replace") }
  func registerAnew() { note("registerAnew") }
  func end(_ reason: String) { note("end") }
  func restart(_ reason: String) { note("restart") }

  private func note(_ event: String) { recorded.withLock { $0.append(event) } }
}
