/// A check of one's own, which the health probes run at each request.
///
/// ```swift
/// let disk = HealthCheck("disk") { await disk.isFull ? .unhealthy("the disk is full") : .healthy }
/// ```
///
/// A check should look at what the service knows already rather than ask others: a probe that waits for a database takes every instance of
/// the service off the load balancer when the database is slow.
public struct HealthCheck: Sendable {
  /// Which probes a check counts for.
  public enum Purpose: Sendable, Hashable {
    /// `/health/live` and `/health`: an unhealthy process is to be restarted.
    case liveness
    /// `/health/ready` and `/health`: an unhealthy process gets no traffic.
    case readiness
    /// `/health` alone, where its `unhealthy` counts as degraded.
    case information
  }

  /// What a check found.
  public enum Outcome: Sendable, Hashable {
    /// All is well.
    case healthy
    /// Something is amiss; traffic is still taken.
    case degraded(String)
    /// The probe fails: 503.
    case unhealthy(String)
  }

  /// The name under which the documents show the check.
  public let name: String
  /// Which probes the check counts for.
  public let purpose: Purpose
  /// How long the check may take.
  public let timeout: Duration
  let run: @Sendable () async throws -> Outcome

  /// Makes a check.
  ///
  /// - Parameters:
  ///   - name: The name in the documents, unique among the checks; not `node`, under which the stage stands.
  ///   - purpose: Which probes the check counts for; `readiness` by default.
  ///   - timeout: How long the check may take, 1 s by default. Then it is cancelled and counts as unhealthy; the probe waits until it has
  ///     ended, so that a check has to obey its cancellation.
  ///   - check: Says how it stands; called once for each request, several times at once if requests overlap. What it throws counts as
  ///     unhealthy, and its description is shown to whoever may ask for the probe.
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
