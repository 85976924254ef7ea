import AsyncHTTPClient
import Foundation
import NIOCore
import NIOFoundationCompat
import NIOHTTP1
import NIOPosix
import ParallaxAPI
import ParallaxText

/// Sends a request to one node after the other, until a node can be reached and accepts traffic.
///
/// Most requests may be repeated at another node: reads change nothing, cancelling and applying are idempotent, and an execution has an
/// idempotency key. The others say so, and are repeated only if the first node has not begun them.
struct ControlPlaneClient {
  static let largestAnswer = 64 << 20

  let addresses: [String]
  let key: String?
  let client: HTTPClient

  /// Runs the body with a client for these options, whose connections end with it.
  static func with<Value>(_ options: ServerOptions, _ body: (ControlPlaneClient) async throws -> Value) async throws -> Value {
    var configuration = HTTPClient.Configuration()
    configuration.timeout.connect = .seconds(3)
    configuration.tlsConfiguration = try options.tls()
    configuration.connectionPool.retryConnectionEstablishment = false
    let addresses = try ServerOptions.addresses(options.servers)
    let client = HTTPClient(configuration: configuration)
    let outcome: Result<Value, any Error>
    do {
      outcome = .success(
        try await body(ControlPlaneClient(addresses: addresses, key: ServerOptions.key(options.apiKey), client: client)))
    } catch {
      outcome = .failure(error)
    }
    try await client.shutdown()
    return try outcome.get()
  }

  /// The client that asks one node only.
  func only(_ address: String) -> ControlPlaneClient {
    ControlPlaneClient(addresses: [address], key: key, client: client)
  }

  func get(_ path: String, query: [(String, String?)] = [], timeout: Duration = .seconds(30)) async throws -> Data {
    try await send("GET", path + Self.text(of: query), body: nil, timeout: timeout)
  }

  func post(
    _ path: String, query: [(String, String?)] = [], body: Data?, contentType: String = "application/json",
    timeout: Duration = .seconds(30), isRepeatable: Bool = true
  ) async throws -> Data {
    try await send(
      "POST", path + Self.text(of: query), body: body, contentType: contentType, timeout: timeout, isRepeatable: isRepeatable)
  }

  private func send(
    _ method: String, _ path: String, body: Data?, contentType: String = "application/json", timeout: Duration = .seconds(30),
    isRepeatable: Bool = true
  ) async throws -> Data {
    var faults: [String] = []
    var isAnswered = false
    for address in addresses {
      var request = request(method, address + path)
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
        guard isRepeatable || Self.isBeforeRequest(error) else {
          throw CommandFailure(
            .failed, "\(address): \(Self.reason(error)); the node may have done it all the same, so look before a repeat")
        }
        faults.append("\(address): \(Self.reason(error))")
        continue
      }
      if (200..<300).contains(response.status.code) { return answer }
      let refusal = Self.refusal(Int(response.status.code), answer, from: address)
      guard refusal.isElsewhere else { throw CommandFailure(.failed, refusal.message) }
      isAnswered = true
      faults.append("\(address): \(refusal.message)")
    }
    throw Self.unreachable(faults, isAnswered: isAnswered)
  }

  func request(_ method: String, _ url: String) -> HTTPClientRequest {
    var request = HTTPClientRequest(url: url)
    request.method = .RAW(value: method)
    if let key { request.headers.add(name: "authorization", value: "Bearer \(key)") }
    return request
  }

  /// The failure of a request that no node has taken; `isAnswered` if one has said why.
  static func unreachable(_ faults: [String], isAnswered: Bool) -> CommandFailure {
    let faults = faults.joined(separator: "; ")
    return CommandFailure(
      .unreachable,
      isAnswered
        ? "no node is ready for the request: \(faults)"
        : "no control plane answers (\(faults)). Is parallaxd running? Set its address by --server or PARALLAX_SERVER.")
  }

  /// The message of a refusal, and whether another node may accept the request.
  static func refusal(_ status: Int, _ body: Data, from address: String) -> (message: String, isElsewhere: Bool) {
    guard let document = try? JSON.decode(ErrorDocument.self, from: body) else {
      return ("\(address) answered \(status) without an error document of Parallax; check the address", false)
    }
    let hint = document.error.code == APIError.Code.unauthorized.rawValue ? " Set PARALLAX_API_KEY to a key." : ""
    return ("\(document.error.message) (\(document.error.code))\(hint)", document.error.code == APIError.Code.notReady.rawValue)
  }

  /// No connection stood, so that the node has not seen the request.
  private static func isBeforeRequest(_ error: any Error) -> Bool {
    error is NIOConnectionError || (error as? HTTPClientError) == .connectTimeout
  }

  static func reason(_ error: any Error) -> String {
    switch error {
    case let error as HTTPClientError where error == .connectTimeout || error == .deadlineExceeded: "no answer in time"
    case let error as NIOConnectionError:
      error.connectionErrors.first.map { Self.reason($0.error) } ?? error.dnsAError.map { _ in "unknown host" } ?? "no connection"
    case let error as IOError: String(cString: strerror(error.errnoCode)).lowercased()
    default: "\(error)"
    }
  }

  static func text(of query: [(String, String?)]) -> String {
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
