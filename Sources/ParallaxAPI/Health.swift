/// How a node or one of its checks is.
public enum HealthStatus: String, Sendable, Hashable, Codable {
  /// All is well.
  case healthy
  /// Something is amiss; traffic is still taken.
  case degraded
  /// Traffic is not taken.
  case unhealthy
}

/// The body of the health endpoints.
public struct HealthDocument: Sendable, Hashable, Codable {
  /// One check's outcome.
  public struct Check: Sendable, Hashable, Codable {
    /// The check's outcome.
    public var status: HealthStatus
    /// What the check found; nil when there is nothing to say.
    public var detail: String?

    package init(_ status: HealthStatus, detail: String? = nil) {
      self.status = status
      self.detail = detail
    }
  }

  /// The worst of the checks that count for the probe.
  public var status: HealthStatus
  /// The node that answers.
  public var nodeId: String
  /// The version of the program that answers.
  public var version: String
  /// Milliseconds since the process started.
  public var uptime: WireDuration
  /// The checks by name.
  public var checks: [String: Check]

  package init(status: HealthStatus, nodeId: String, version: String, uptime: Duration, checks: [String: Check]) {
    self.status = status
    self.nodeId = nodeId
    self.version = version
    self.uptime = WireDuration(uptime)
    self.checks = checks
  }
}
