import Logging
import ParallaxConcurrency
import ParallaxHA
import ServiceLifecycle
import Synchronization

/// Performs a ``ShutdownPlan``.
///
/// The last service of the node stops first: it performs the steps until the server stops. The server then calls ``acceptingEnded()`` for
/// the steps while connections end.
final class Shutdown: Service {
  /// The parts of the node that the steps act on.
  struct Parts: Sendable {
    let health: NodeHealth
    let election: NodeElection
    let dispatcher: Dispatcher
    /// The waits for executions of other nodes.
    let watch: ExecutionWatch
    /// The node sessions that can continue the executions of this node.
    let successors: @Sendable () -> [NodeSession]
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
    let current = begin()
    logger.notice(
      "shutting down",
      metadata: ["drainDelay": "\(delay)", "drainTimeout": "\(timeout)", "successors": "\(current.successors.count)"])
    await withTaskGroup(of: Void.self) { group in
      for timed in current.plan.whileAccepting {
        // The release of leadership must not delay the other steps while the store does not answer.
        if timed.step == .leave { group.addTask { await self.parts.election.resign() } }
        await perform(timed, of: current)
      }
    }
  }

  /// Performs the steps after the server has stopped accepting connections.
  func acceptingEnded() async {
    let current = begin()
    for timed in current.plan.afterAccepting { await perform(timed, of: current) }
  }

  private func begin() -> Run {
    let successors = parts.successors()
    let now = clock.now.instant
    return started.withLock { started in
      if let started { return started }
      let plan = ShutdownPlan(delay: delay, timeout: timeout, hasSuccessor: !successors.isEmpty)
      let new = Run(plan: plan, beganAt: now, successors: successors)
      started = new
      return new
    }
  }

  private func perform(_ timed: ShutdownPlan.Timed, of current: Run) async {
    let left = max(.zero, current.beganAt + timed.deadline - clock.now.instant)
    switch timed.step {
    case .leave: parts.health.stage = .leaving(hasSuccessor: !current.successors.isEmpty)
    case .keepServing: try? await clock.sleep(for: left)
    case .finishWork: await finishWork(within: left)
    case .takeLateRequests: try? await clock.sleep(for: min(left, ShutdownPlan.lateRequests))
    case .refuseWork: parts.health.stage = .draining
    case .sendAgentsAway(let spread): parts.dispatcher.askAgentsToReconnect(reason: "drain", over: spread)
    case .handOverExecutions: parts.dispatcher.handle(.handOver(to: current.successors))
    case .awaitCallers: await waitUntilIdle(includingExecutions: false, within: left)
    case .answerCallers:
      parts.dispatcher.handle(.stopping)
      parts.watch.release()
    case .awaitAgents(let spread): await awaitAgents(within: min(left, spread + ShutdownPlan.agentReaction))
    case .closeAgents: parts.dispatcher.closeAgents(reason: "the node is shutting down")
    case .stopAccepting, .closeConnections, .stop: break
    }
  }

  private func finishWork(within limit: Duration) async {
    parts.health.stage = .finishing
    await waitUntilIdle(includingExecutions: true, within: limit)
    let left = parts.dispatcher.counts.executions
    if left > 0 { logger.warning("stopping with executions that no other node takes over", metadata: ["executions": "\(left)"]) }
  }

  private func waitUntilIdle(includingExecutions: Bool, within limit: Duration) async {
    let dispatcher = parts.dispatcher
    _ = await race {
      await dispatcher.waitUntilIdle(includingExecutions: includingExecutions)
    } until: { [clock] in
      try await clock.sleep(for: limit)
    }
  }

  /// Waits until all agents have left, but not longer for agents that ignore the request to reconnect.
  private func awaitAgents(within limit: Duration) async {
    let end = clock.now.instant + limit
    while parts.dispatcher.counts.agents > 0, clock.now.instant < end {
      do { try await clock.sleep(for: Self.agentCheckInterval) } catch { return }
    }
  }
}
