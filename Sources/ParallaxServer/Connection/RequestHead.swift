import NIOHTTP1

extension HTTPRequestHead {
  /// The request target up to the query.
  var path: Substring {
    uri.utf8.firstIndex(of: UInt8(ascii: "?")).map { uri[..<$0] } ?? uri[...]
  }

  /// The version is 1.0, which has no persistent connections by default, no `Host` and no upgrades; the parser accepts no older one.
  var isHTTP10: Bool { version.major == 1 && version.minor == 0 }

  /// A comma-separated header has this token in any letter case.
  func hasToken(_ token: String, in name: String) -> Bool {
    headers[canonicalForm: name].contains { $0.utf8.count == token.utf8.count && $0.lowercased() == token }
  }

  /// The HTTP parser stops behind this request, because the next bytes may be of another protocol.
  var stopsParser: Bool {
    method == .CONNECT || (headers.contains(name: "upgrade") && hasToken("upgrade", in: "connection"))
  }

  /// The client waits for `100 Continue` before it sends the body.
  var expectsContinue: Bool {
    !isHTTP10 && headers.first(name: "expect").map { $0.lowercased() == "100-continue" } ?? false
  }

  /// A body follows the head.
  var hasBody: Bool {
    headers.contains(name: "transfer-encoding") || contentLength ?? 0 > 0
  }

  /// The request comes from a browser: it has a header that only browsers send, or the user agent of a browser.
  var isFromBrowser: Bool {
    headers.contains(name: "sec-fetch-site") || headers.first(name: "user-agent")?.hasPrefix("Mozilla/") == true
  }

  /// The declared length of the body.
  var contentLength: Int? {
    headers.first(name: "content-length").flatMap { Int($0) }
  }
}
