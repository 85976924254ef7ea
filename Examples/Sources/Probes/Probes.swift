#if HTTP
import Hummingbird
import Logging
import ParallaxHTTP
import ParallaxMetrics
import ServiceLifecycle
import UnixSignals
#endif

/// Health probes and metrics, for a service without a server of its own and for one that is a Hummingbird application.
///
/// `swift run --traits HTTP Probes` serves on port 9000; `swift run --traits HTTP Probes application` adds the same routes to those of an
/// application on port 8000. Request `/health`, `/health/live`, `/health/ready` and `/metrics`.
@main struct Probes {
  static func main() async throws {
    #if HTTP
    let logger = Logger(label: "probes")
    let registry = MetricsRegistry()
    try registry.registerProcessMetrics()
    let worker = Worker(rounds: try registry.makeCounter("worker_rounds_total", help: "Rounds of the worker.").withLabels())
    let health = HealthProbes(
      nodeID: "worker-1", version: "1.0.0",
      checks: [
        HealthCheck("worker", for: .liveness) {
          let silence = await worker.silence
          return silence < .seconds(10) ? .healthy : .unhealthy("no round for \(silence)")
        },
        HealthCheck("rounds", for: .information) { await worker.hasWorked ? .healthy : .degraded("no round yet") },
      ])

    let server: any Service
    if CommandLine.arguments.contains("application") {
      let router = Router()
      router.addHealthProbes(health).addMetrics(registry)
      router.get("/") { _, _ in "hello\n" }
      server = Application(router: router, configuration: ApplicationConfiguration(address: .hostname(port: 8000)), logger: logger)
    } else {
      server = ProbeServer(health: health, metrics: registry, port: 9000, logger: logger)
    }
    // A service group stops from the last to the first: the probes answer until the worker has ended.
    let group = ServiceGroup(services: [server, worker], gracefulShutdownSignals: [.sigint, .sigterm], logger: logger)
    try await group.run()
    #else
    print("build with a server: swift run --traits HTTP Probes")
    #endif
  }
}

#if HTTP
/// The work of the service.
actor Worker: Service {
  private let rounds: CounterSeries
  private var lastRound = ContinuousClock.now
  private(set) var hasWorked = false

  init(rounds: CounterSeries) {
    self.rounds = rounds
  }

  var silence: Duration { lastRound.duration(to: .now) }

  func run() async throws {
    try await cancelWhenGracefulShutdown {
      while true {
        try await Task.sleep(for: .seconds(1))
        await self.work()
      }
    }
  }

  private func work() {
    rounds.increment()
    hasWorked = true
    lastRound = .now
  }
}
#endif
