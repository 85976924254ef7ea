import HTTPTypes
public import Hummingbird
import NIOCore
import ParallaxAPI
public import ParallaxMetrics

extension RouterMethods {
  /// Adds `GET` and `HEAD` for `/health`, `/health/live` and `/health/ready`.
  ///
  /// Added before middleware that asks for credentials, as to a group of its own, they answer everybody, which is what load balancers and
  /// orchestrators need.
  ///
  /// - Parameter health: What the probes tell.
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
  ///   - path: Where; `/metrics` by default.
  /// - Returns: This router.
  @discardableResult
  public func addMetrics(_ registry: MetricsRegistry, at path: RouterPath = "/metrics") -> Self {
    addProbe(path) { request in
      // Several headers of one name count as one with commas.
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
  /// An answer that is complete, and that nobody between may keep.
  fileprivate static func whole(_ body: ByteBuffer, contentType: String, status: HTTPResponse.Status = .ok) -> Response {
    Response(
      status: status,
      headers: [.contentType: contentType, .contentLength: String(body.readableBytes), .cacheControl: "no-store"],
      body: ResponseBody(byteBuffer: body))
  }
}
