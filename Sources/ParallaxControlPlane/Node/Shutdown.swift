import Logging
import ParallaxConcurrency
import ParallaxHA
import ServiceLifecycle
import Synchronization

/// Performs a ``ShutdownPlan``.
///
/// As the last of the node's services it is the first that stops: it performs the steps until the server is to stop. The server then calls
/// ``acceptingEnded()`` for the steps while connections end.
final class Shutdown: Service {
  /// What the steps act on.
  struct Parts: Sendable {
    let health: NodeHealth
    let election: NodeElection
    let dispatcher: Dispatcher
    /// Callers that wait for executions of other nodes.
    let watch: ExecutionWatch
    /// The node sessions that can go on with what this node has.
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
  ///   - parts: What the steps act on.
  ///   - clock: The node's clock.
  ///   - logger: Where the stop is reported.
  init(delay: Duration, timeout: Duration, parts: Parts, clock: NodeClock, logger: Logger) {
    self.delay = delay
    self.timeout = timeout
    self.parts = parts
    self.clock = clock
    self.logger = logger
  }

  /// Waits for a graceful shutdown, and returns when the server is to stop.
  func run() async throws {
    do { try await gracefulShutdown() } catch { return }
    let current = begin()
    logger.notice(
      "shutting down",
      metadata: ["drainDelay": "\(delay)", "drainTimeout": "\(timeout)", "successors": "\(current.successors.count)"])
    await withTaskGroup(of: Void.self) { group in
      for timed in current.plan.whileAccepting {
        // A store that does not answer holds up the release, and must not hold up the rest.
        if timed.step == .leave { group.addTask { await self.parts.election.resign() } }
        await perform(timed, of: current)
      }
    }
  }

  /// Does what comes after the server has stopped to accept connections.
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
    if left > 0 { logger.warning("work is left that no other node takes over", metadata: ["executions": "\(left)"]) }
  }

  private func waitUntilIdle(includingExecutions: Bool, within limit: Duration) async {
    let dispatcher = parts.dispatcher
    _ = await race {
      await dispatcher.waitUntilIdle(includingExecutions: includingExecutions)
    } until: { [clock] in
      try await clock.sleep(for: limit)
    }
  }

  /// Agents that were told to leave need a moment, and those that do not heed it are not waited for longer.
  private func awaitAgents(within limit: Duration) async {
    let end = clock.now.instant + limit
    while parts.dispatcher.counts.agents > 0, clock.now.instant < end {
      do { try await clock.sleep(for: Self.agentCheckInterval) } catch { return }
    }
  }
}
