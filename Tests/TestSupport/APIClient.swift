import AsyncHTTPClient
package import Foundation
import NIOCore
import NIOHTTP1
import ParallaxAPI

/// A client of a node's API, which sends JSON over HTTP.
package struct APIClient: Sendable {
  /// A response.
  package struct Response: Sendable {
    package var status: Int
    package var headers: [String: String]
    package var body: Data

    package var text: String { String(decoding: body, as: UTF8.self) }

    /// Decodes the body; the error includes the body.
    package func decode<Document: Decodable>(_ type: Document.Type = Document.self) throws -> Document {
      do {
        return try JSON.decode(type, from: body)
      } catch {
        throw ProcessFailure("\(status): not a \(type): \(error)\n\(text)")
      }
    }
  }

  package let base: String
  /// The time-out of one request.
  package var timeout: Duration = .seconds(60)

  package init(base: String) {
    self.base = base
  }

  package func get(_ path: String) async throws -> Response {
    try await send("GET", path, body: nil)
  }

  package func post(_ path: String, _ document: some Encodable) async throws -> Response {
    try await send("POST", path, body: try JSON.encode(document))
  }

  package func post(_ path: String, text: String, contentType: String = "application/json") async throws -> Response {
    try await send("POST", path, body: Data(text.utf8), contentType: contentType)
  }

  /// Sends any request, also one whose body is not JSON.
  package func send(
    _ method: String, _ path: String, body: Data?, contentType: String = "application/json", headers: [String: String] = [:]
  ) async throws -> Response {
    var request = HTTPClientRequest(url: base + path)
    request.method = .RAW(value: method)
    if let body {
      request.headers.add(name: "content-type", value: contentType)
      request.body = .bytes(Array(body))
    }
    for (name, value) in headers { request.headers.add(name: name, value: value) }
    let response = try await HTTPClient.shared.execute(request, timeout: TimeAmount(timeout))
    let buffer = try await response.body.collect(upTo: 16 << 20)
    return Response(
      status: Int(response.status.code),
      headers: Dictionary(response.headers.map { ($0.name.lowercased(), $0.value) }) { first, _ in first },
      body: Data(buffer.readableBytesView))
  }
}
