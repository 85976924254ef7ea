package import ParallaxAPI
import ParallaxConcurrency
import Synchronization

/// The health of a service for its probes: `/health`, `/health/live` and `/health/ready`.
///
/// ```swift
/// let health = HealthProbes(nodeID: "worker-1", version: "1.4.0", checks: [disk])
/// router.addHealthProbes(health)                                  // in a Hummingbird application
/// ProbeServer(health: health, port: 9000, logger: logger)         // in a service without a server of its own
/// ```
///
/// | path | 200 | 503 |
/// |---|---|---|
/// | `/health` | no check is unhealthy, and the stage is `running` | else; all checks are shown |
/// | `/health/live` | no check for liveness is unhealthy | else; the checks for liveness are shown |
/// | `/health/ready` | no check for readiness is unhealthy, and the stage is `running` | else; the unhealthy checks are shown |
///
/// The body is the document of `parallaxd`: `{"status","nodeId","version","uptime","checks":{name:{"status","detail"}}}`, `uptime` in
/// milliseconds since the probes were made.
public final class HealthProbes: Sendable {
  /// The stage of a service's life.
  public enum Stage: Sendable, Hashable {
    /// Not ready; the text gives the reason.
    case starting(reason: String)
    /// Ready, unless a check is unhealthy.
    case running
    /// About to stop: alive, but not ready.
    case draining
  }

  /// The name of the stage among the checks.
  private static let stageName = "node"

  private let nodeID: String
  private let version: String
  private let checks: [HealthCheck]
  private let clock: any Clock<Duration>
  private let uptime: @Sendable () -> Duration
  private let currentStage: Mutex<Stage>

  /// Creates the probes of a service.
  ///
  /// - Parameters:
  ///   - nodeID: The name of the service's instance in the documents.
  ///   - version: The version of the service in the documents.
  ///   - stage: The stage of the service; `running` by default.
  ///   - checks: The checks, with unique names; none by default.
  public convenience init(nodeID: String, version: String, stage: Stage = .running, checks: [HealthCheck] = []) {
    self.init(nodeID: nodeID, version: version, stage: stage, checks: checks, clock: ContinuousClock())
  }

  /// Creates the probes of a service whose time-outs and uptime use `clock`.
  package init<C: Clock>(nodeID: String, version: String, stage: Stage = .running, checks: [HealthCheck] = [], clock: C)
  where C.Duration == Duration {
    precondition(
      Set(checks.map(\.name) + [Self.stageName]).count == checks.count + 1,
      "the names of health checks must be unique, and none may be \"\(Self.stageName)\"")
    self.nodeID = nodeID
    self.version = version
    self.checks = checks
    self.clock = clock
    let start = clock.now
    uptime = { start.duration(to: clock.now) }
    currentStage = Mutex(stage)
  }

  /// The stage of the service; may be set on any thread, and applies from the next request on.
  ///
  /// A service that stops sets `draining` first, and keeps answering until its load balancer has noticed.
  public var stage: Stage {
    get { currentStage.withLock { $0 } }
    set { currentStage.withLock { $0 = newValue } }
  }

  /// The document of a probe; its status decides between 200 and 503.
  package func document(for probe: HealthProbe) async -> HealthDocument {
    let counted = checks.filter { $0.counts(for: probe) }
    var outcomes: [String: HealthDocument.Check] = [:]
    await withTaskGroup(of: (String, HealthDocument.Check).self) { group in
      for check in counted { group.addTask { (check.name, await self.result(of: check)) } }
      for await (name, outcome) in group { outcomes[name] = outcome }
    }
    if probe != .live { outcomes[Self.stageName] = stageCheck }
    let status: HealthStatus =
      outcomes.values.contains { $0.status == .unhealthy }
      ? .unhealthy : outcomes.values.contains { $0.status == .degraded } ? .degraded : .healthy
    if probe == .ready {
      outcomes = outcomes.filter { status == .unhealthy ? $0.value.status == .unhealthy : $0.key == Self.stageName }
    }
    return HealthDocument(status: status, nodeId: nodeID, version: version, uptime: uptime(), checks: outcomes)
  }

  private var stageCheck: HealthDocument.Check {
    switch stage {
    case .starting(let reason): HealthDocument.Check(.unhealthy, detail: "starting: \(reason)")
    case .running: HealthDocument.Check(.healthy)
    case .draining: HealthDocument.Check(.unhealthy, detail: "draining")
    }
  }

  private func result(of check: HealthCheck) async -> HealthDocument.Check {
    let outcome: HealthCheck.Outcome
    do {
      outcome = try await withTimeout(check.timeout, clock: clock, check.run)
    } catch is TimeoutError {
      outcome = .unhealthy("no answer within \(check.timeout)")
    } catch {
      outcome = .unhealthy("failed: \(error)")
    }
    return switch outcome {
    case .healthy: HealthDocument.Check(.healthy)
    case .degraded(let detail): HealthDocument.Check(.degraded, detail: detail)
    case .unhealthy(let detail): HealthDocument.Check(check.purpose == .information ? .degraded : .unhealthy, detail: detail)
    }
  }
}

extension HealthCheck {
  fileprivate func counts(for probe: HealthProbe) -> Bool {
    switch probe {
    case .health: true
    case .live: purpose == .liveness
    case .ready: purpose == .readiness
    }
  }
}
