import NIOCore
import ParallaxServer
import Testing

@testable import ParallaxControlPlane

@Suite struct ShutdownPlanTests {
  @Test func agentsAndExecutionsGoToOtherNodesAtOnce() {
    let plan = ShutdownPlan(delay: .seconds(5), timeout: .seconds(30), hasSuccessor: true)
    #expect(
      plan.steps.map(\.step) == [
        .leave, .keepServing, .stopAccepting, .takeLateRequests, .refuseWork, .sendAgentsAway(over: .seconds(2)), .handOverExecutions,
        .awaitCallers, .answerCallers, .awaitAgents(spread: .seconds(2)), .closeAgents, .closeConnections,
        .stop(NodePart.behindServer.reversed()),
      ])
  }

  @Test func aNodeWithoutSuccessorKeepsItsAgentsUntilItsWorkHasEnded() {
    let plan = ShutdownPlan(delay: .seconds(5), timeout: .seconds(30), hasSuccessor: false)
    #expect(
      plan.steps.map(\.step) == [
        .leave, .keepServing, .finishWork, .stopAccepting, .refuseWork, .sendAgentsAway(over: .seconds(2)), .awaitCallers,
        .answerCallers, .awaitAgents(spread: .seconds(2)), .closeAgents, .closeConnections, .stop(NodePart.behindServer.reversed()),
      ])
    #expect(plan.whileAccepting.map(\.step) == [.leave, .keepServing, .finishWork, .stopAccepting])
    #expect(plan.afterAccepting.first?.step == .refuseWork)
    #expect(plan.whileAccepting.count + plan.afterAccepting.count == plan.steps.count)
  }

  /// `server.drainTimeout` limits all work, from the end of `server.drainDelay` on.
  @Test(arguments: [true, false]) func everyLimitCountsFromTheStartOfTheShutdown(hasSuccessor: Bool) throws {
    let plan = ShutdownPlan(delay: .seconds(5), timeout: .seconds(30), hasSuccessor: hasSuccessor)
    func deadline(_ step: ShutdownPlan.Step) throws -> Duration { try #require(plan.steps.first { $0.step == step }).deadline }
    #expect(try deadline(.leave) == .seconds(5))
    #expect(try deadline(.keepServing) == .seconds(5))
    if !hasSuccessor { #expect(try deadline(.finishWork) == .seconds(35)) }
    #expect(try deadline(.awaitCallers) == .seconds(35))
    #expect(try deadline(.answerCallers) == .seconds(35))
    #expect(try deadline(.closeAgents) == .milliseconds(37_500))
    #expect(try deadline(.closeConnections) == .milliseconds(39_500))
    #expect(plan.limit == .milliseconds(54_500))
    #expect(zip(plan.steps, plan.steps.dropFirst()).allSatisfy { $0.deadline <= $1.deadline })
  }

  /// Work is refused only after the server has closed its idle connections.
  @Test func workIsAcceptedWhileTheServerKeepsConnections() {
    let plan = ShutdownPlan(delay: .zero, timeout: .seconds(30), hasSuccessor: true)
    #expect(plan.afterAccepting.first?.step == .takeLateRequests)
    #expect(ShutdownPlan.lateRequests > .nanoseconds(ConnectionLimits().stopGrace.nanoseconds))
  }

  @Test func withoutADrainTimeoutAgentsAreAskedToReconnectAtOnce() {
    let plan = ShutdownPlan(delay: .zero, timeout: .zero, hasSuccessor: true)
    #expect(plan.steps.contains { $0.step == .sendAgentsAway(over: .zero) })
    #expect(plan.limit == .milliseconds(17_500))
  }

  /// A part stops after the parts that need it: the server first, the store last.
  @Test func partsStopInReverseOrderOfTheirStart() {
    let plan = ShutdownPlan(delay: .zero, timeout: .zero, hasSuccessor: true)
    #expect(
      plan.steps.last?.step
        == .stop([.lifecycle, .leadership, .feed, .inbox, .dispatcher, .membership, .messages, .events, .backend, .witness]))
    #expect(NodePart.allCases.suffix(2) == [.server, .shutdown])
  }
}
