import Logging
import ParallaxConcurrency
import ParallaxHA
import ParallaxTesting
import ServiceLifecycle
import ServiceLifecycleTestKit
import Synchronization
import TestSupport
import Testing

@testable import ParallaxControlPlane

/// The steps of a shutdown and their times, on a manual clock.
@Suite(.timeLimit(.minutes(1))) struct ShutdownOrderTests {
  private static let delay: Duration = .seconds(1)
  private static let timeout: Duration = .seconds(5)
  private static let successors = [World.other]

  private let clock = ManualClock()
  private let node = StoppingNode()

  /// Stops a node as the service group and the server do, and returns its log; the closures move the clock.
  private func stop(
    successors: [NodeSession] = [], whileAccepting: () async throws -> Void, afterAccepting: () async throws -> Void = {}
  ) async throws -> [StoppingNode.Entry] {
    let shutdown = shutdown(successors: successors)
    try await testGracefulShutdown { trigger in
      async let run: Void = shutdown.run()
      trigger.triggerGracefulShutdown()
      try await whileAccepting()
      try await run
    }
    node.note("accepting ended", clock)
    async let ended: Void = shutdown.acceptingEnded()
    try await afterAccepting()
    await ended
    node.note("done", clock)
    #expect(node.resignations == 1)
    return node.log
  }

  /// Moves the clock once the shutdown sleeps.
  private func advance(to seconds: Double) async throws {
    try await clock.sleepers()
    clock.advance(by: .seconds(seconds) - clock.now.sinceStart)
  }

  private func shutdown(successors: [NodeSession]) -> Shutdown {
    node.successors = successors
    return Shutdown(
      delay: Self.delay, timeout: Self.timeout, parts: node.parts(clock), clock: NodeClock(clock),
      logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
  }

  @Test func aDelayedNodeWithoutSuccessorStopsAtEveryLimit() async throws {
    node.set(executions: 3, agents: 2, callers: 1)
    let log = try await stop {
      try await advance(to: 1)
      try await advance(to: 6)
    } afterAccepting: {
      try await advance(to: 8.5)
    }
    #expect(
      log == [
        .init("leaving, no successor", 0), .init("finishing", 1), .init("connections refused", 6), .init("accepting ended", 6),
        .init("draining", 6),
        .init("agents away over 2.0 seconds", 6), .init("callers answered", 6), .init("agents closed", 8.5), .init("done", 8.5),
      ])
  }

  @Test func executionsAreHandedOverAtOnceAndCallersAreAwaited() async throws {
    node.set(executions: 3, agents: 2, callers: 1)
    let log = try await stop(successors: Self.successors) {
      try await advance(to: 1)
    } afterAccepting: {
      try await advance(to: 1.25)
      try await advance(to: 1.5)
      try await advance(to: 6)
      try await advance(to: 8.5)
    }
    #expect(
      log == [
        .init("leaving, successor", 0), .init("connections refused", 1), .init("accepting ended", 1), .init("draining", 1.5),
        .init("agents away over 2.0 seconds", 1.5),
        .init("handed over to node-b", 1.5), .init("callers answered", 6), .init("agents closed", 8.5), .init("done", 8.5),
      ])
  }

  @Test func aNodeWhoseSuccessorsStopDuringItsDelayEndsItsWork() async throws {
    node.set(executions: 1, agents: 1, callers: 0)
    let log = try await stop(successors: Self.successors) {
      try await clock.sleepers()
      node.successors = []
      try await advance(to: 1)
      try await eventually("the wait for the work") { node.log.contains { $0.what == "finishing" } }
      try await advance(to: 3)
      node.set(executions: 0, agents: 0, callers: 0)
    }
    #expect(
      log == [
        .init("leaving, successor", 0), .init("finishing", 1), .init("connections refused", 3), .init("accepting ended", 3),
        .init("draining", 3), .init("agents away over 2.0 seconds", 3), .init("callers answered", 3), .init("agents closed", 3),
        .init("done", 3),
      ])
  }

  @Test func aNodeHandsOverToTheSuccessorsThatAreLeft() async throws {
    let log = try await stop(successors: Self.successors + [World.session]) {
      try await clock.sleepers()
      node.successors = Self.successors
      try await advance(to: 1)
    } afterAccepting: {
      try await advance(to: 1.5)
    }
    #expect(log.map(\.what).contains("handed over to node-b"), "\(log)")
  }

  @Test func aNodeWithoutWorkStopsAfterItsDelay() async throws {
    #expect(
      try await stop { try await advance(to: 1) } == [
        .init("leaving, no successor", 0), .init("finishing", 1), .init("connections refused", 1), .init("accepting ended", 1),
        .init("draining", 1),
        .init("agents away over 2.0 seconds", 1), .init("callers answered", 1), .init("agents closed", 1), .init("done", 1),
      ])
  }

  @Test func stepsEndEarlyOnceTheirWorkHasEnded() async throws {
    node.set(executions: 1, agents: 1, callers: 0)
    let log = try await stop {
      try await advance(to: 1)
      try await advance(to: 3)
      node.set(executions: 0, agents: 1, callers: 0)
    } afterAccepting: {
      // The wait for executions may still be leaving the clock.
      try await eventually("the answers") { node.log.contains { $0.what == "callers answered" } }
      try await advance(to: 4)
      try await clock.sleepers()
      node.set(executions: 0, agents: 0, callers: 0)
      clock.advance(by: .milliseconds(500))
    }
    #expect(
      log == [
        .init("leaving, no successor", 0), .init("finishing", 1), .init("connections refused", 3), .init("accepting ended", 3),
        .init("draining", 3),
        .init("agents away over 2.0 seconds", 3), .init("callers answered", 3), .init("agents closed", 4.5), .init("done", 4.5),
      ])
    #expect(node.waits == [true, false])
  }

  @Test func aStoreThatDoesNotAnswerDelaysTheReleaseOfLeadershipAlone() async throws {
    node.holdResignation()
    _ = try await stop {
      try await advance(to: 1)
      try await eventually("the end of the work") { node.log.contains { $0.what == "finishing" } }
      #expect(node.resignations == 0)
      node.releaseResignation()
    }
  }

  @Test func aCancelledNodePerformsNoStep() async throws {
    let shutdown = shutdown(successors: Self.successors)
    let run = Task { try await shutdown.run() }
    run.cancel()
    try await run.value
    #expect(node.log == [])
  }
}

/// The parts of a node; they record their calls.
private final class StoppingNode: Sendable {
  struct Entry: Equatable, CustomStringConvertible {
    var what: String
    /// The seconds since the begin of the shutdown.
    var at: Double

    init(_ what: String, _ at: Double) {
      self.what = what
      self.at = at
    }

    var description: String { "\(what) at \(at)" }
  }

  private struct State {
    var log: [Entry] = []
    var counts = (executions: 0, agents: 0, callers: 0)
    var resignations = 0
    var waits: [Bool] = []
    var successors: [NodeSession] = []
  }

  private let state = Mutex(State())
  private let changes = Broadcast<Void>()
  private let heldResignation = Mutex<Deferred<Void>?>(nil)

  var log: [Entry] { state.withLock { $0.log } }
  /// The number of calls that have released leadership.
  var resignations: Int { state.withLock { $0.resignations } }
  /// For each wait for an idle node, whether it included executions.
  var waits: [Bool] { state.withLock { $0.waits } }

  var successors: [NodeSession] {
    get { state.withLock { $0.successors } }
    set { state.withLock { $0.successors = newValue } }
  }

  func note(_ what: String, _ clock: ManualClock) {
    let at = clock.now.sinceStart / .seconds(1)
    state.withLock { $0.log.append(Entry(what, at)) }
  }

  func set(executions: Int, agents: Int, callers: Int) {
    state.withLock { $0.counts = (executions, agents, callers) }
    changes.send(())
  }

  func holdResignation() { heldResignation.withLock { $0 = Deferred() } }

  func releaseResignation() { heldResignation.withLock { $0 }?.set() }

  private func waitUntilIdle(_ includingExecutions: Bool) async {
    state.withLock { $0.waits.append(includingExecutions) }
    let changes = changes.subscribe(buffering: 1, startingWith: ())
    for await _ in changes {
      let counts = state.withLock { $0.counts }
      if counts.callers == 0, !includingExecutions || counts.executions == 0 { return }
    }
  }

  func parts(_ clock: ManualClock) -> Shutdown.Parts {
    Shutdown.Parts(
      successors: { [self] in successors },
      enter: { [self] stage in
        switch stage {
        case .leaving(let hasSuccessor): note(hasSuccessor ? "leaving, successor" : "leaving, no successor", clock)
        case .finishing: note("finishing", clock)
        case .draining: note("draining", clock)
        case .starting, .running: Issue.record("a node that stops is \(stage)")
        }
      },
      resign: { [self] in
        try? await heldResignation.withLock { $0 }?.value()
        state.withLock { $0.resignations += 1 }
      },
      waitUntilIdle: { [self] in await waitUntilIdle($0) },
      refuseConnections: { [self] in note("connections refused", clock) },
      sendAgentsAway: { [self] in note("agents away over \($0)", clock) },
      handOver: { [self] others in note("handed over to \(others.map(\.nodeID).joined(separator: " "))", clock) },
      answerCallers: { [self] in note("callers answered", clock) }, closeAgents: { [self] in note("agents closed", clock) },
      counts: { [self] in state.withLock { ($0.counts.executions, $0.counts.agents) } })
  }
}
