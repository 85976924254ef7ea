import NIOHTTP1
import ParallaxAPI

/// The opening handshake of RFC 6455, section 4.2.1.
enum WebSocketHandshake {
  static let path = "/ws/agent"
  static let access = RouteAccess.scope(.agent)

  /// The reason that a request cannot become a WebSocket, or nil.
  static func refusal(of head: HTTPRequestHead) -> HTTPErrorResponse? {
    let wanted: [(name: String, value: String)] = [("Upgrade", "websocket"), ("Connection", "upgrade"), ("Sec-WebSocket-Version", "13")]
    guard head.method == .GET else {
      return HTTPErrorResponse(
        .methodNotAllowed, "\(path) accepts WebSocket handshakes, which are GET requests", headers: [("Allow", "GET")])
    }
    guard head.hasToken("websocket", in: "upgrade"), head.hasToken("upgrade", in: "connection") else {
      return HTTPErrorResponse(
        .upgradeRequired,
        "\(path) accepts WebSocket handshakes only: send `Upgrade: websocket` and `Connection: Upgrade`. Does a proxy in between drop them?",
        headers: wanted)
    }
    guard !head.isHTTP10 else {
      return HTTPErrorResponse(.validation, "a WebSocket handshake needs HTTP/1.1 or later, found \(head.version)")
    }
    guard head.headers["sec-websocket-version"] == ["13"] else {
      return HTTPErrorResponse(.upgradeRequired, "the server supports version 13 of the WebSocket protocol only", headers: wanted)
    }
    let keys = head.headers["sec-websocket-key"]
    guard keys.count == 1, let key = keys.first, isKey(key) else {
      return HTTPErrorResponse(.validation, "Sec-WebSocket-Key: expected one header with 16 bytes in base 64")
    }
    return nil
  }

  /// The base-64 form of 16 bytes has 22 digits, the last of two bits, and two padding characters.
  private static func isKey(_ text: String) -> Bool {
    let bytes = Array(text.utf8)
    return bytes.count == 24 && bytes[22...].allSatisfy { $0 == UInt8(ascii: "=") } && bytes[..<22].allSatisfy(isBase64Digit)
  }

  private static func isBase64Digit(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
      UInt8(ascii: "+"), UInt8(ascii: "/"):
      true
    default: false
    }
  }
}
