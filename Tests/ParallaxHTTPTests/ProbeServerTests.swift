import AsyncHTTPClient
import Hummingbird
import Logging
import NIOCore
import NIOHTTP1
import ParallaxAPI
import ParallaxMetrics
import ServiceLifecycle
import Testing

@testable import ParallaxHTTP

@Suite("Probes over HTTP", .timeLimit(.minutes(1)))
struct ProbeServerTests {
  private static let openMetrics = "application/openmetrics-text; version=1.0.0; charset=utf-8"
  private let health = HealthProbes(nodeID: "worker-1", version: "1.2.3")
  private let registry = MetricsRegistry()

  @Test("A service without a server gets probes and metrics on a port of its own")
  func server() async throws {
    try registry.makeCounter("jobs_total", help: "Jobs.").withLabels().increment(by: 7)
    try await Self.running({ [health, registry] in
      ProbeServer(health: health, metrics: registry, port: 0, logger: Self.logger, onListening: $0)
    }) { url in
      for path in ["/health", "/health/live", "/health/ready"] {
        let (status, headers, body) = try await Self.get(url + path)
        #expect(status == 200, "\(path)")
        #expect(headers["content-type"] == "application/json")
        #expect(headers["cache-control"] == "no-store")
        let document = try JSON.decode(HealthDocument.self, from: body)
        #expect(document.nodeId == "worker-1")
      }
      health.stage = .draining
      #expect(try await Self.get(url + "/health/ready").status == 503)
      #expect(try await Self.get(url + "/health/live").status == 200)
      let text = try await Self.get(url + "/metrics")
      #expect(text.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8")
      #expect(text.body.contains("jobs_total 7\n"))
      let open = try await Self.get(url + "/metrics", accept: "application/openmetrics-text; version=1.0.0")
      #expect(open.headers["content-type"] == Self.openMetrics)
      #expect(open.body.hasSuffix("# EOF\n"))
      #expect(try await Self.get(url + "/else").status == 404)
    }
  }

  @Test("HEAD answers as GET does, without a body")
  func head() async throws {
    try await Self.running({ [health] in ProbeServer(health: health, port: 0, logger: Self.logger, onListening: $0) }) { url in
      let (status, headers, body) = try await Self.get(url + "/health", method: "HEAD")
      #expect(status == 200)
      #expect(headers["content-type"] == "application/json")
      #expect(headers["content-length"].flatMap { Int($0) } ?? 0 > 0)
      #expect(body.isEmpty)
      #expect(try await Self.get(url + "/metrics").status == 404)
    }
  }

  @Test("A Hummingbird application adds the probes to its own routes, under a path of its choice")
  func application() async throws {
    try await Self.running({ [health, registry] onListening in
      let router = Router()
      router.get("/hello") { _, _ in "hello" }
      router.group("/internal").addHealthProbes(health).addMetrics(registry, at: "/numbers")
      return Application(
        router: router, configuration: ApplicationConfiguration(address: .hostname("127.0.0.1", port: 0)),
        onServerRunning: { await onListening($0.localAddress?.port ?? 0) }, logger: Self.logger)
    }) { url in
      let own = try await Self.get(url + "/hello")
      #expect(own.body == "hello")
      #expect(try await Self.get(url + "/internal/health/live").status == 200)
      #expect(try await Self.get(url + "/internal/numbers").status == 200)
      #expect(try await Self.get(url + "/health").status == 404)
    }
  }

  // MARK: Support

  private static var logger: Logger {
    var logger = Logger(label: "test")
    logger.logLevel = .critical
    return logger
  }

  /// Runs a service on a free port during a test, and stops it gracefully, also after a failure.
  private static func running(
    _ makeService: @escaping @Sendable (@escaping @Sendable (_ port: Int) async -> Void) -> any Service,
    _ test: (_ url: String) async throws -> Void
  ) async throws {
    let (ports, continuation) = AsyncStream<Int>.makeStream()
    let service = makeService { continuation.yield($0) }
    let group = ServiceGroup(services: [service], logger: logger)
    try await withThrowingTaskGroup(of: Void.self) { tasks in
      tasks.addTask {
        defer { continuation.finish() }
        try await group.run()
      }
      var iterator = ports.makeAsyncIterator()
      if let port = await iterator.next() {
        do {
          try await test("http://127.0.0.1:\(port)")
        } catch {
          await group.triggerGracefulShutdown()
          throw error
        }
      }
      await group.triggerGracefulShutdown()
      try await tasks.waitForAll()
    }
  }

  private static func get(
    _ url: String, method: String = "GET", accept: String? = nil
  ) async throws -> (status: UInt, headers: [String: String], body: String) {
    var request = HTTPClientRequest(url: url)
    request.method = method == "HEAD" ? .HEAD : .GET
    if let accept { request.headers.add(name: "accept", value: accept) }
    // A kept connection would delay the graceful shutdown.
    request.headers.add(name: "connection", value: "close")
    let response = try await HTTPClient.shared.execute(request, timeout: .seconds(10))
    let body = try await response.body.collect(upTo: 1 << 20)
    let headers = Dictionary(response.headers.map { ($0.name.lowercased(), $0.value) }) { first, _ in first }
    return (response.status.code, headers, String(buffer: body))
  }
}
