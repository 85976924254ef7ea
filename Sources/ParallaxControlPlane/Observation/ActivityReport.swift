import ParallaxConcurrency
import ParallaxHA
import ServiceLifecycle

/// Logs once a minute, and at the end, what the node did.
struct ActivityReport: Service {
  static let interval = Duration.seconds(60)

  let log: ActivityLog
  let dispatcher: Dispatcher
  let election: NodeElection
  let clock: NodeClock

  func run() async throws {
    await cancelWhenGracefulShutdown {
      await every(Self.interval, clock: clock.monotonic, startsAtOnce: false) { report() }
    }
    report()
  }

  private func report() {
    let (counts, status) = (dispatcher.counts, election.status)
    log.report(
      ActivityLog.Situation(
        running: counts.executions, waiting: counts.waiting, agents: counts.agents, role: status.isLeader ? "leader" : "standby",
        term: status.term))
  }
}
