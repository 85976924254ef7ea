import AsyncHTTPClient
import Foundation
import NIOCore
import NIOFoundationCompat
import NIOHTTP1
import NIOPosix
import NIOSSL
import ParallaxAPI
import ParallaxText

/// Sends a request to one node after the other, until a node can be reached and accepts traffic.
///
/// Every request here may be repeated at another node: reads change nothing, cancelling and applying are idempotent, and an execution has
/// an idempotency key.
struct ControlPlaneClient {
  private static let largestAnswer = 64 << 20

  let addresses: [String]
  let key: String?
  let tls: TLSConfiguration?

  /// Runs the body with a client for these options.
  static func with<Result>(_ options: ServerOptions, _ body: (ControlPlaneClient) async throws -> Result) async throws -> Result {
    try await body(
      ControlPlaneClient(
        addresses: ServerOptions.addresses(options.servers), key: ServerOptions.key(options.apiKey), tls: options.tls()))
  }

  func get(_ path: String, query: [(String, String?)] = []) async throws -> Data {
    try await send("GET", path + Self.text(of: query), body: nil)
  }

  func post(
    _ path: String, query: [(String, String?)] = [], body: Data?, contentType: String = "application/json", timeout: Duration = .seconds(30)
  )
    async throws -> Data
  {
    try await send("POST", path + Self.text(of: query), body: body, contentType: contentType, timeout: timeout)
  }

  private func send(
    _ method: String, _ path: String, body: Data?, contentType: String = "application/json", timeout: Duration = .seconds(30)
  ) async throws -> Data {
    var configuration = HTTPClient.Configuration()
    configuration.timeout.connect = .seconds(3)
    configuration.tlsConfiguration = tls
    configuration.connectionPool.retryConnectionEstablishment = false
    let client = HTTPClient(configuration: configuration)
    let outcome: Result<Data, any Error>
    do {
      outcome = .success(try await firstAnswer(client, method, path, body, contentType, timeout))
    } catch {
      outcome = .failure(error)
    }
    try await client.shutdown()
    return try outcome.get()
  }

  private func firstAnswer(
    _ client: HTTPClient, _ method: String, _ path: String, _ body: Data?, _ contentType: String, _ timeout: Duration
  ) async throws -> Data {
    var faults: [String] = []
    for address in addresses {
      var request = HTTPClientRequest(url: address + path)
      request.method = .RAW(value: method)
      if let key { request.headers.add(name: "authorization", value: "Bearer \(key)") }
      if let body {
        request.headers.add(name: "content-type", value: contentType)
        request.body = .bytes(ByteBuffer(data: body))
      }
      let response: HTTPClientResponse
      let answer: Data
      do {
        response = try await client.execute(request, timeout: .milliseconds(timeout.wholeMilliseconds))
        answer = Data(buffer: try await response.body.collect(upTo: Self.largestAnswer))
      } catch {
        faults.append("\(address): \(Self.reason(error))")
        continue
      }
      if (200..<300).contains(response.status.code) { return answer }
      let refusal = Self.refusal(Int(response.status.code), answer, from: address)
      guard refusal.isElsewhere else { throw CommandFailure(.failed, refusal.message) }
      faults.append(refusal.message)
    }
    throw CommandFailure(
      .unreachable,
      "no control plane answers (\(faults.joined(separator: "; "))). Is parallaxd running? Set its address by --server or PARALLAX_SERVER."
    )
  }

  /// The message of a refusal, and whether another node may accept the request.
  private static func refusal(_ status: Int, _ body: Data, from address: String) -> (message: String, isElsewhere: Bool) {
    guard let document = try? JSON.decode(ErrorDocument.self, from: body) else {
      return ("\(address) answered \(status) without an error document of Parallax; check the address", false)
    }
    let hint = document.error.code == APIError.Code.unauthorized.rawValue ? " Set PARALLAX_API_KEY to a key." : ""
    return ("\(document.error.message) (\(document.error.code))\(hint)", document.error.code == APIError.Code.notReady.rawValue)
  }

  private static func reason(_ error: any Error) -> String {
    switch error {
    case let error as HTTPClientError where error == .connectTimeout || error == .deadlineExceeded: "no answer in time"
    case let error as NIOConnectionError:
      error.connectionErrors.first.map { Self.reason($0.error) } ?? error.dnsAError.map { _ in "unknown host" } ?? "no connection"
    case let error as IOError: String(cString: strerror(error.errnoCode)).lowercased()
    default: "\(error)"
    }
  }

  private static func text(of query: [(String, String?)]) -> String {
    let pairs = query.compactMap { name, value in value.map { "\(name)=\(PercentEncoding.encode($0))" } }
    return pairs.isEmpty ? "" : "?" + pairs.joined(separator: "&")
  }
}

extension String {
  /// The text as one segment of a path.
  var pathSegment: String {
    PercentEncoding.encode(self)
  }
}
