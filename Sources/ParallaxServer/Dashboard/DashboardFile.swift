import HTTPTypes
import Hummingbird
import HummingbirdCore
import NIOCore

/// A file of the dashboard, as the build has embedded it from `UI/`.
struct DashboardFile: Sendable {
  /// The path below ``DashboardRoutes/path``; empty for the page.
  let path: String
  private let contentType: String
  private let tag: EntityTag
  private let content: ByteBuffer

  static let all: [DashboardFile] = EmbeddedFiles.all.map { DashboardFile(name: $0.name, content: $0.content) }

  private init(name: String, content: StaticString) {
    path = name == "index.html" ? "" : name
    contentType = Self.contentType(of: name)
    self.content = content.withUTF8Buffer { ByteBuffer(bytes: $0) }
    tag = EntityTag(of: self.content, isWeak: false)
  }

  private static func contentType(of name: String) -> String {
    switch name.split(separator: ".").last {
    case "html": "text/html; charset=utf-8"
    case "css": "text/css; charset=utf-8"
    case "js": "text/javascript; charset=utf-8"
    case "svg": "image/svg+xml"
    default: preconditionFailure("UI/\(name) has no known type")
    }
  }

  /// The file, or 304 to a client that has it.
  func response(to request: Request) -> Response {
    var headers: HTTPFields = [.contentType: contentType, .eTag: tag.text, .cacheControl: "no-cache"]
    for (name, value) in Self.securityHeaders { headers[name] = value }
    if tag.isKnown(to: request) {
      headers[.contentType] = nil
      return Response(status: .notModified, headers: headers)
    }
    headers[.contentLength] = String(content.readableBytes)
    return Response(status: .ok, headers: headers, body: ResponseBody(byteBuffer: content))
  }

  /// The page runs its own scripts only, talks to its own server only, and appears in no frame.
  private static let securityHeaders: [(HTTPField.Name, String)] = {
    let headers = [
      (
        "Content-Security-Policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; "
          + "form-action 'none'; frame-ancestors 'none'"
      ),
      ("X-Content-Type-Options", "nosniff"), ("Referrer-Policy", "no-referrer"), ("Cross-Origin-Opener-Policy", "same-origin"),
    ]
    return headers.compactMap { name, value in HTTPField.Name(name).map { ($0, value) } }
  }()
}
