import NIOHTTP1

/// The cookie that holds a browser's key.
enum SessionCookie {
  static let name = "parallax_session"

  /// The key in a request's cookies; nil without one.
  static func key(in headers: HTTPHeaders) -> Substring? {
    for header in headers["cookie"] {
      for cookie in header.split(separator: ";") {
        let cookie = cookie.drop { $0 == " " }
        guard cookie.hasPrefix(name), cookie.dropFirst(name.count).first == "=" else { continue }
        let value = cookie.dropFirst(name.count + 1)
        return value.isEmpty ? nil : value
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
