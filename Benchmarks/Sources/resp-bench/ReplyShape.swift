import NIOCore

/// A kind of reply, in the server's bytes.
struct ReplyShape {
  let name: String
  /// The reply for the client.
  let reply: String
  /// The same reply in RESP2, the only version of hiredis before 1.0.
  let reply2: String

  init(_ name: String, _ reply: String, inRESP2 reply2: String? = nil) {
    self.name = name
    self.reply = reply
    self.reply2 = reply2 ?? reply
  }

  static let all = [
    ReplyShape("status OK", "+OK\r\n"),
    ReplyShape("integer", ":1234567\r\n"),
    ReplyShape("null", "$-1\r\n"),
    ReplyShape("string of 16 bytes", bulk(16)),
    ReplyShape("string of 1 KiB", bulk(1_024)),
    ReplyShape("array of 10 strings of 16 bytes", array(Array(repeating: bulk(16), count: 10))),
    ReplyShape("array of 100 integers", array((0..<100).map { ":\(1_000 + $0)\r\n" })),
    ReplyShape("stream of 10 entries of 2 fields", stream),
    ReplyShape("map of 10 fields (array in RESP2)", "%10\r\n" + fields(10), inRESP2: "*20\r\n" + fields(10)),
  ]

  private static func bulk(_ length: Int) -> String {
    "$\(length)\r\n\(String(repeating: "x", count: length))\r\n"
  }

  private static func array(_ elements: [String]) -> String {
    "*\(elements.count)\r\n\(elements.joined())"
  }

  private static func fields(_ count: Int) -> String {
    (0..<count).map { _ in bulk(6) + bulk(16) }.joined()
  }

  /// A reply to XREAD.
  private static var stream: String {
    array([array([bulk(8), array((0..<10).map { _ in array([bulk(15), array([bulk(6), bulk(16), bulk(6), bulk(16)])]) })])])
  }
}
