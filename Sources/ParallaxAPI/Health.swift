/// The health of a node or of one check.
public enum HealthStatus: String, Sendable, Hashable, Codable {
  /// Without faults.
  case healthy
  /// With a fault that does not keep the node from serving traffic.
  case degraded
  /// With a fault that keeps the node from serving traffic.
  case unhealthy
}

/// The body of the health endpoints.
public struct HealthDocument: Sendable, Hashable, Codable {
  /// The outcome of one check.
  public struct Check: Sendable, Hashable, Codable {
    /// The status.
    public var status: HealthStatus
    /// A description of the finding, for people; nil without one.
    public var detail: String?

    package init(_ status: HealthStatus, detail: String? = nil) {
      self.status = status
      self.detail = detail
    }
  }

  /// The worst status of the probe's checks.
  public var status: HealthStatus
  /// The id of the answering node.
  public var nodeId: String
  /// The version of the answering node.
  public var version: String
  /// The time since the start of the node.
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
