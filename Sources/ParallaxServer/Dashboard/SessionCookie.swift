import NIOHTTP1

/// The cookie that holds a browser's key.
enum SessionCookie {
  static let name = "parallax_session"

  /// The longest key that browsers keep: a cookie has at most 4,096 bytes with its attributes.
  static let sizeLimit = 3_800

  /// Whether a key or a token can be the value of the cookie.
  static func canHold(_ key: Substring) -> Bool {
    (1...sizeLimit).contains(key.utf8.count) && key.utf8.allSatisfy(KeyDigest.isKeyByte)
  }

  /// The first key in a request's cookies; nil without one.
  static func key(in headers: HTTPHeaders) -> Substring? {
    for header in headers["cookie"] {
      for cookie in header.split(separator: ";") {
        let cookie = cookie.drop { $0 == " " }
        guard cookie.hasPrefix(name), cookie.dropFirst(name.count).first == "=" else { continue }
        let value = cookie.dropFirst(name.count + 1)
        if !value.isEmpty { return value }
      }
    }
    return nil
  }
}

extension HTTPRequestHead {
  /// The credentials of a request, as values of `Authorization`: that header, else the cookie of a browser.
  ///
  /// The cookie counts only for pages that this server has delivered, whatever other origins are allowed to do.
  func credentials(host: Authority?) -> [String] {
    let sent = headers["authorization"]
    guard sent.isEmpty, path != WebSocketHandshake.path, let key = SessionCookie.key(in: headers) else { return sent }
    if let origin = headers.first(name: "origin") {
      guard let origin = WebOrigin(origin), let host, origin.isSame(as: host) else { return [] }
    }
    return ["Bearer \(key)"]
  }
}
