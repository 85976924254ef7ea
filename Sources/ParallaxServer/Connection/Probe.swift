package import NIOCore
package import ParallaxAPI

/// The requests that the event loop answers ahead of the router, under any load.
package enum Probe: Hashable, Sendable {
  case health(HealthProbe)
  /// `GET /metrics`
  case metrics

  /// The probe at a path; each path also exists under `/api`.
  init?(path: Substring) {
    let path = path.hasPrefix("/api/") ? path.dropFirst(4) : path
    if let probe = HealthProbe.allCases.first(where: { $0.rawValue == path }) {
      self = .health(probe)
    } else if path == "/metrics" {
      self = .metrics
    } else {
      return nil
    }
  }

  /// Who may send the probe.
  var access: RouteAccess {
    switch self {
    case .health: .open
    case .metrics: .status
    }
  }

  var operation: Operation {
    switch self {
    case .health: .health
    case .metrics: .metrics
    }
  }

  /// The paths of all probes.
  static let declarations: [RouteDeclaration] = {
    let paths = HealthProbe.allCases.map(\.rawValue) + ["/metrics"]
    return (paths + paths.map { "/api" + $0 }).compactMap { path in
      Probe(path: path[...]).map { RouteDeclaration(method: "GET", path: path, access: $0.access, operation: $0.operation) }
    }
  }()
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
