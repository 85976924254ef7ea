import HTTPTypes
public import Hummingbird
import NIOCore
import ParallaxAPI
public import ParallaxMetrics

extension RouterMethods {
  /// Adds `GET` and `HEAD` for `/health`, `/health/live` and `/health/ready`.
  ///
  /// Routes that are added before authentication middleware, for example to a group of their own, answer every client, as load balancers
  /// and orchestrators need.
  ///
  /// - Parameter health: The health of the service.
  /// - Returns: This router.
  @discardableResult
  public func addHealthProbes(_ health: HealthProbes) -> Self {
    for probe in HealthProbe.allCases {
      addProbe(RouterPath(probe.rawValue)) { _ in
        let document = await health.document(for: probe)
        let status: HTTPResponse.Status = document.status == .unhealthy ? .serviceUnavailable : .ok
        return Response.whole(ByteBuffer(bytes: try JSON.encode(document)), contentType: "application/json", status: status)
      }
    }
    return self
  }

  /// Adds `GET` and `HEAD` for the metrics: the Prometheus text format, or OpenMetrics where `Accept` prefers it.
  ///
  /// - Parameters:
  ///   - registry: The metrics.
  ///   - path: The path; `/metrics` by default.
  /// - Returns: This router.
  @discardableResult
  public func addMetrics(_ registry: MetricsRegistry, at path: RouterPath = "/metrics") -> Self {
    addProbe(path) { request in
      // Several headers of one name are equivalent to one with commas (RFC 9110, section 5.3).
      let accept = request.headers[values: .accept].joined(separator: ",")
      let format = ExpositionFormat(accept: accept)
      return Response.whole(ByteBuffer(bytes: registry.render(format)), contentType: format.contentType)
    }
    return self
  }

  private func addProbe(_ path: RouterPath, _ answer: @escaping @Sendable (Request) async throws -> Response) {
    on(path, method: .get) { request, _ -> Response in try await answer(request) }
    on(path, method: .head) { request, _ -> Response in try await answer(request).createHeadResponse() }
  }
}

extension Response {
  /// A complete response that no cache may store.
  fileprivate static func whole(_ body: ByteBuffer, contentType: String, status: HTTPResponse.Status = .ok) -> Response {
    Response(
      status: status,
      headers: [.contentType: contentType, .contentLength: String(body.readableBytes), .cacheControl: "no-store"],
      body: ResponseBody(byteBuffer: body))
  }
}
