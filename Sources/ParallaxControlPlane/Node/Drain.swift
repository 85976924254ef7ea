import Logging
import ParallaxHA
import ServiceLifecycle

/// The first thing that stops: readiness goes, then leadership, and HTTP is served on for `drainDelay` so that load balancers notice.
struct DrainDelay: Service {
  let health: NodeHealth
  let delay: Duration
  /// Gives up leadership, if the node has it.
  let resign: @Sendable () async -> Void
  let logger: Logger

  func run() async throws {
    try? await gracefulShutdown()
    health.stage = .leaving
    logger.notice("shutting down", metadata: ["drainDelay": "\(delay)"])
    await withTaskGroup(of: Void.self) { group in
      group.addTask { await resign() }
      group.addTask { try? await Task.sleep(for: delay) }
    }
    health.stage = .draining
  }
}

/// What happens once no new connection is accepted: agents are told, callers get their answers, then the agents' connections end.
struct Drain: Sendable {
  let dispatcher: Dispatcher
  /// How long callers may wait, before they are told where to look.
  let timeout: Duration
  /// A node whose state dies with it finishes what it has; another's executions go on in its next life or at other nodes.
  let finishesExecutions: Bool
  /// The node sessions that can go on with what nobody here waits for.
  let others: @Sendable () -> [NodeSession]
  /// Callers that wait for executions of other nodes.
  let watch: ExecutionWatch?

  /// Agents that leave by themselves are spread over at most this long.
  private static let reconnectSpread = Duration.seconds(2)

  func callAsFunction() async {
    dispatcher.askAgentsToReconnect(reason: "drain", over: min(Self.reconnectSpread, timeout))
    dispatcher.handOver(to: others())
    await withTaskGroup(of: Void.self) { group in
      group.addTask { await dispatcher.waitUntilIdle(includingExecutions: finishesExecutions) }
      group.addTask { try? await Task.sleep(for: timeout) }
      await group.next()
      group.cancelAll()
    }
    dispatcher.releaseCallers()
    watch?.release()
    dispatcher.closeAgents(reason: "the node is shutting down")
  }
}
