/// A check of a service's own, which the health probes run at each request.
///
/// ```swift
/// let disk = HealthCheck("disk") { await disk.isFull ? .unhealthy("the disk is full") : .healthy }
/// ```
///
/// A check should use what the service already knows and ask no other service: a probe that waits for a database removes every instance of
/// the service from the load balancer when the database is slow.
public struct HealthCheck: Sendable {
  /// The probes that run a check.
  public enum Purpose: Sendable, Hashable {
    /// `/health/live` and `/health`: an unhealthy process should be restarted.
    case liveness
    /// `/health/ready` and `/health`: an unhealthy process should get no traffic.
    case readiness
    /// `/health` only, where `unhealthy` counts as degraded.
    case information
  }

  /// The result of a check.
  public enum Outcome: Sendable, Hashable {
    /// No problem.
    case healthy
    /// A problem with which the process still accepts traffic; the text describes it.
    case degraded(String)
    /// The probe fails with 503; the text gives the reason.
    case unhealthy(String)
  }

  /// The name of the check in the documents.
  public let name: String
  /// The probes that run the check.
  public let purpose: Purpose
  /// How long the check may take.
  public let timeout: Duration
  let run: @Sendable () async throws -> Outcome

  /// Creates a check.
  ///
  /// - Parameters:
  ///   - name: The name in the documents; unique among the checks, and not `node`, which names the stage.
  ///   - purpose: The probes that run the check; `readiness` by default.
  ///   - timeout: How long the check may take, 1 s by default. A check that takes longer is cancelled and counts as unhealthy; the probe
  ///     waits for its end, so a check must react to cancellation.
  ///   - check: The check; called once per request, concurrently for concurrent requests. A thrown error counts as unhealthy, and its
  ///     description is visible to every client of the probe.
  public init(
    _ name: String, for purpose: Purpose = .readiness, timeout: Duration = .seconds(1),
    check: @escaping @Sendable () async throws -> Outcome
  ) {
    self.name = name
    self.purpose = purpose
    self.timeout = timeout
    run = check
  }
}
