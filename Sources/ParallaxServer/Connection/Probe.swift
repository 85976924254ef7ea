package import NIOCore

/// The requests that the event loop answers ahead of the router, under any load.
package enum Probe: Hashable, Sendable, CaseIterable {
  /// `GET /health`
  case health
  /// `GET /health/live`
  case live
  /// `GET /health/ready`
  case ready
  /// `GET /metrics`
  case metrics

  /// The probe at a path; each path also exists under `/api`.
  init?(path: Substring) {
    switch path {
    case "/health", "/api/health": self = .health
    case "/health/live", "/api/health/live": self = .live
    case "/health/ready", "/api/health/ready": self = .ready
    case "/metrics", "/api/metrics": self = .metrics
    default: return nil
    }
  }
}

/// A complete answer to a probe.
package struct ProbeAnswer: Sendable {
  package var status: Int
  package var contentType: String
  package var body: ByteBuffer

  package init(status: Int, contentType: String, body: ByteBuffer) {
    self.status = status
    self.contentType = contentType
    self.body = body
  }
}

/// Answers a probe, given the request's `Accept` header; called on an event loop, so it must not block.
package typealias ProbeResponder = @Sendable (Probe, _ accept: String?) -> ProbeAnswer
