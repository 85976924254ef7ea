import Crypto
import HTTPTypes
import Hummingbird
import NIOCore
import ParallaxText

/// The tag of a content, by which a client that has it is spared the body (RFC 9110, sections 8.8.3 and 13.1.2).
struct EntityTag: Sendable {
  /// The tag as in a header.
  let text: String
  private let opaque: Substring

  /// `isWeak` for a content of which a server may send several encodings.
  init(of content: ByteBuffer, isWeak: Bool) {
    let opaque = "\"\(Hexadecimal.text(of: SHA256.hash(data: content.readableBytesView)).prefix(32))\""
    text = isWeak ? "W/\(opaque)" : opaque
    self.opaque = opaque[...]
  }

  /// The client of a request has the content.
  func isKnown(to request: Request) -> Bool {
    request.headers[values: .ifNoneMatch].lazy.flatMap { $0.split(separator: ",") }.contains { tag in
      let tag = tag.trimmingPrefix(while: \.isWhitespace)
      let end = tag.lastIndex { !$0.isWhitespace }.map { tag.index(after: $0) } ?? tag.endIndex
      return tag[..<end] == "*" || tag[..<end].trimmingPrefix("W/") == opaque
    }
  }
}

extension Response {
  /// A JSON document with its tag, which a client has to compare at each use; without the document for a client that has it.
  static func tagged(_ document: ByteBuffer, for request: Request) -> Response {
    let tag = EntityTag(of: document, isWeak: true)
    var response = tag.isKnown(to: request) ? Response(status: .notModified) : .json(document)
    response.headers[.eTag] = tag.text
    response.headers[.cacheControl] = "private, no-cache"
    return response
  }
}
