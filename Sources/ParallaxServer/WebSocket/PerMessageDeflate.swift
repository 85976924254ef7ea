/// What was agreed with a client about permessage-deflate (RFC 7692).
///
/// Neither side keeps its window from one message to the next, whatever the client offers: else each connection would have windows of its
/// own. A client may compress with any window.
struct PerMessageDeflate: Equatable, Sendable {
  /// The exponent of the largest window of the server's messages; nil if the client has not limited it.
  private(set) var requestedWindowBits: Int32?

  var windowBits: Int32 { requestedWindowBits ?? ZlibStream.maxWindowBits }

  /// The value of `Sec-WebSocket-Extensions` that accepts the client's offer.
  var response: String {
    let windowBits = requestedWindowBits.map { "; server_max_window_bits=\($0)" } ?? ""
    return "permessage-deflate; server_no_context_takeover; client_no_context_takeover" + windowBits
  }

  /// The first of the offers in the values of `Sec-WebSocket-Extensions` that the server accepts; nil if there is none, and the connection
  /// is to have no extension.
  static func accept(_ values: [String]) -> PerMessageDeflate? {
    for value in values {
      for offer in split(Substring(value), at: ",") {
        let parts = split(offer, at: ";").map { trimmed($0) }
        if parts.first == "permessage-deflate", let accepted = accept(parameters: parts.dropFirst()) { return accepted }
      }
    }
    return nil
  }

  /// Accepts an offer; nil if a parameter is unknown, has a value that it may not have, or appears twice.
  private static func accept(parameters: some Sequence<Substring>) -> PerMessageDeflate? {
    var accepted = PerMessageDeflate()
    var seen: Set<Substring> = []
    for parameter in parameters {
      let parts = parameter.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map { trimmed($0) }
      let value = parts.count == 2 ? unquoted(parts[1]) : nil
      guard seen.insert(parts[0]).inserted else { return nil }
      switch parts[0] {
      case "server_no_context_takeover", "client_no_context_takeover":
        guard parts.count == 1 else { return nil }
      case "client_max_window_bits":
        guard parts.count == 1 || value.flatMap(windowBits(_:)) != nil else { return nil }
      case "server_max_window_bits":
        // zlib cannot limit itself to a window of 256 bytes without a header.
        guard let bits = value.flatMap(windowBits(_:)), bits > 8 else { return nil }
        accepted.requestedWindowBits = bits
      default: return nil
      }
    }
    return accepted
  }

  /// 8 to 15, in decimal digits without leading zeros.
  private static func windowBits(_ text: Substring) -> Int32? {
    guard let bits = Int32(text), (8...15).contains(bits), String(bits) == text else { return nil }
    return bits
  }

  /// A value may be quoted; none of those that are accepted needs an escape.
  private static func unquoted(_ text: Substring) -> Substring? {
    guard text.first == "\"" else { return text }
    guard text.count >= 2, text.last == "\"" else { return nil }
    return text.dropFirst().dropLast()
  }

  /// The parts between the separators that are not quoted.
  private static func split(_ text: Substring, at separator: Character) -> [Substring] {
    var parts: [Substring] = []
    var rest = text
    var isQuoted = false
    var isEscaped = false
    for index in text.indices {
      let character = text[index]
      if isEscaped {
        isEscaped = false
      } else if character == "\\", isQuoted {
        isEscaped = true
      } else if character == "\"" {
        isQuoted.toggle()
      } else if character == separator, !isQuoted {
        parts.append(rest[rest.startIndex..<index])
        rest = rest[rest.index(after: index)...]
      }
    }
    return parts + [rest]
  }

  private static func trimmed(_ text: Substring) -> Substring {
    let isSpace = { (character: Character) in character == " " || character == "\t" }
    var text = text.drop(while: isSpace)
    while text.last.map(isSpace) == true { text.removeLast() }
    return text
  }
}
