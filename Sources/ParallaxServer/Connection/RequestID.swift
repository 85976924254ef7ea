import ParallaxText

/// The id of a request: the client's `X-Request-Id` when it is usable, else a new one.
enum RequestID {
  static let headerName = "X-Request-Id"
  private static let maxLength = 128

  /// Accepts the client's id if it has 1 to 128 letters, digits or `-_.:/+=@`: the id goes into logs and responses, so no other character
  /// is safe to repeat.
  static func make(from sent: String?) -> String {
    guard let sent, (1...maxLength).contains(sent.utf8.count), sent.utf8.allSatisfy(isAllowed) else { return make() }
    return sent
  }

  static func make() -> String {
    "req_" + Hexadecimal.text(of: UInt64.random(in: .min ... .max))
  }

  private static func isAllowed(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"): true
    case UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."), UInt8(ascii: ":"), UInt8(ascii: "/"), UInt8(ascii: "+"),
      UInt8(ascii: "="), UInt8(ascii: "@"):
      true
    default: false
    }
  }
}
