/// How a node or one of its checks is.
package enum HealthStatus: String, Sendable, Hashable, Codable {
  case healthy, degraded, unhealthy
}

/// The body of the health endpoints.
package struct HealthDocument: Sendable, Hashable, Codable {
  /// One check's outcome.
  package struct Check: Sendable, Hashable, Codable {
    package var status: HealthStatus
    package var detail: String?

    package init(_ status: HealthStatus, detail: String? = nil) {
      self.status = status
      self.detail = detail
    }
  }

  package var status: HealthStatus
  package var nodeId: String
  package var version: String
  /// Milliseconds since the process started.
  package var uptime: WireDuration
  package var checks: [String: Check]

  package init(status: HealthStatus, nodeId: String, version: String, uptime: Duration, checks: [String: Check]) {
    self.status = status
    self.nodeId = nodeId
    self.version = version
    self.uptime = WireDuration(uptime)
    self.checks = checks
  }
}
