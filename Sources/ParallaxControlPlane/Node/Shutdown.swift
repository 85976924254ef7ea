import Logging
import ParallaxConcurrency
import ParallaxHA
import ParallaxServer
import ServiceLifecycle
import Synchronization

/// Performs a ``ShutdownPlan``.
///
/// The last service of the node stops first: it performs the steps until the server stops. The server then calls ``acceptingEnded()`` for
/// the steps while connections end.
final class Shutdown: Service {
  /// The parts of the node that the steps act on.
  struct Parts: Sendable {
    /// Announces that this node stops, and returns the node sessions that can continue its executions.
    var successors: @Sendable () async -> [NodeSession]
    /// Sets the stage of the node, which decides the requests that it accepts.
    var enter: @Sendable (NodeHealth.Stage) -> Void
    /// Releases leadership, however long the store takes.
    var resign: @Sendable () async -> Void
    /// Returns once no caller waits and, if they are included, no execution is left, or when the task is cancelled.
    var waitUntilIdle: @Sendable (_ includingExecutions: Bool) async -> Void
    /// Has the system make no more connections, and waits until those that it has made are accepted.
    var refuseConnections: @Sendable () async -> Void
    /// Asks the agents to reconnect, spread over a time.
    var sendAgentsAway: @Sendable (_ spread: Duration) -> Void
    /// Hands over the executions without a waiting caller to other nodes.
    var handOver: @Sendable ([NodeSession]) -> Void
    /// Answers the callers that still wait with the id of their execution.
    var answerCallers: @Sendable () -> Void
    /// Disconnects the remaining agents.
    var closeAgents: @Sendable () -> Void
    /// The numbers of executions and agents.
    var counts: @Sendable () -> (executions: Int, agents: Int)
    /// Whether the node has listened; the end of one that could not is logged as its failure alone.
    var hasServed: @Sendable () -> Bool = { true }
  }

  private struct Run {
    var plan: ShutdownPlan
    var beganAt: Duration
    var successors: [NodeSession]
  }

  private static let agentCheckInterval: Duration = .milliseconds(20)

  private let delay: Duration
  private let timeout: Duration
  private let parts: Parts
  private let clock: NodeClock
  private let logger: Logger
  private let started = Mutex<Run?>(nil)

  /// Makes the service.
  ///
  /// - Parameters:
  ///   - delay: `server.drainDelay`.
  ///   - timeout: `server.drainTimeout`.
  ///   - parts: The parts of the node that the steps act on.
  ///   - clock: The node's clock.
  ///   - logger: Logs the shutdown.
  init(delay: Duration, timeout: Duration, parts: Parts, clock: NodeClock, logger: Logger) {
    self.delay = delay
    self.timeout = timeout
    self.parts = parts
    self.clock = clock
    self.logger = logger
  }

  /// Waits for a graceful shutdown, and performs the steps until the server stops.
  func run() async throws {
    do { try await gracefulShutdown() } catch { return }
    let first = await begin()
    if parts.hasServed() {
      logger.notice(
        "shutting down",
        metadata: ["drainDelay": "\(delay)", "drainTimeout": "\(timeout)", "successors": "\(first.successors.count)"])
    }
    await withTaskGroup(of: Void.self) { group in
      for timed in first.plan.leaving {
        // The release of leadership must not delay the other steps while the store does not answer.
        if timed.step == .leave { group.addTask { await self.parts.resign() } }
        await perform(timed, of: first)
      }
      let current = await reconsider(first)
      for timed in current.plan.whileAccepting.dropFirst(first.plan.leaving.count) { await perform(timed, of: current) }
    }
  }

  /// Performs the steps after the server has stopped accepting connections.
  func acceptingEnded() async {
    let current = await begin()
    for timed in current.plan.afterAccepting { await perform(timed, of: current) }
  }

  private func begin() async -> Run {
    if let started = started.withLock({ $0 }) { return started }
    let now = clock.now.instant
    let successors = await parts.successors()
    return started.withLock { started in
      if let started { return started }
      let plan = ShutdownPlan(delay: delay, timeout: timeout, hasSuccessor: !successors.isEmpty)
      let new = Run(plan: plan, beganAt: now, successors: successors)
      started = new
      return new
    }
  }

  /// Gives up successors that have been asked to stop since: the work of nodes that stop together ends where it is.
  private func reconsider(_ current: Run) async -> Run {
    guard !current.successors.isEmpty else { return current }
    var next = current
    next.successors = await parts.successors()
    if next.successors.isEmpty {
      logger.notice("all other nodes stop too; the executions end here")
      next.plan = ShutdownPlan(delay: delay, timeout: timeout, hasSuccessor: false)
    }
    let reconsidered = next
    started.withLock { $0 = reconsidered }
    return reconsidered
  }

  private func perform(_ timed: ShutdownPlan.Timed, of current: Run) async {
    let left = max(.zero, current.beganAt + timed.deadline - clock.now.instant)
    switch timed.step {
    case .leave: parts.enter(.leaving(hasSuccessor: !current.successors.isEmpty))
    case .keepServing: try? await clock.sleep(for: left)
    case .finishWork: await finishWork(within: left)
    case .takeLateRequests: try? await clock.sleep(for: min(left, ShutdownPlan.lateRequests))
    case .refuseWork: parts.enter(.draining)
    case .sendAgentsAway(let spread): parts.sendAgentsAway(spread)
    case .handOverExecutions: parts.handOver(current.successors)
    case .awaitCallers: await waitUntilIdle(includingExecutions: false, within: left)
    case .answerCallers: parts.answerCallers()
    case .awaitAgents(let spread): await awaitAgents(within: min(left, spread + ShutdownPlan.agentReaction))
    case .closeAgents: parts.closeAgents()
    // The service group then stops the server.
    case .stopAccepting: await parts.refuseConnections()
    case .closeConnections, .stop: break
    }
  }

  private func finishWork(within limit: Duration) async {
    parts.enter(.finishing)
    await waitUntilIdle(includingExecutions: true, within: limit)
    let left = parts.counts().executions
    if left > 0 { logger.warning("stopping with executions that no other node takes over", metadata: ["executions": "\(left)"]) }
  }

  private func waitUntilIdle(includingExecutions: Bool, within limit: Duration) async {
    _ = await race { [parts] in
      await parts.waitUntilIdle(includingExecutions)
    } until: { [clock] in
      try await clock.sleep(for: limit)
    }
  }

  /// Waits until all agents have left, but not longer for agents that ignore the request to reconnect.
  private func awaitAgents(within limit: Duration) async {
    let end = clock.now.instant + limit
    while parts.counts().agents > 0, clock.now.instant < end {
      do { try await clock.sleep(for: Self.agentCheckInterval) } catch { return }
    }
  }
}

extension Shutdown.Parts {
  /// The parts of a node.
  init(
    health: NodeHealth, election: NodeElection, dispatcher: Dispatcher, watch: ExecutionWatch, listener: ServerListener,
    successors: @escaping @Sendable () async -> [NodeSession]
  ) {
    self.init(
      successors: successors, enter: { health.stage = $0 }, resign: { await election.resign() },
      waitUntilIdle: { await dispatcher.waitUntilIdle(includingExecutions: $0) },
      refuseConnections: { await listener.refuseConnections() },
      sendAgentsAway: {
        dispatcher.handle(.agent(.sentAway))
        dispatcher.askAgentsToReconnect(reason: "drain", over: $0)
      }, handOver: { dispatcher.handle(.handOver(to: $0)) },
      answerCallers: {
        dispatcher.handle(.stopping)
        // Callers that wait for executions of other nodes.
        watch.release()
      }, closeAgents: { dispatcher.closeAgents(reason: "the node is shutting down") },
      counts: {
        let counts = dispatcher.counts
        return (counts.executions, counts.agents)
      })
  }
}
