/// A host and a port, as a `Host` header and an absolute request target name them (RFC 9110, section 7.2).
package struct Authority: Hashable, Sendable {
  /// The name in lower case, or the address without brackets.
  package var name: String
  package var port: Int?

  /// Reads `name`, `name:port`, `1.2.3.4:port` or `[::1]:port`; nil for anything else, userinfo included.
  package init?(_ text: some StringProtocol) {
    let text = text.lowercased()
    let rest: Substring
    if text.first == "[" {
      guard let end = text.firstIndex(of: "]") else { return nil }
      name = String(text[text.index(after: text.startIndex)..<end])
      guard !name.isEmpty, name.utf8.allSatisfy(Self.isAddressByte) else { return nil }
      rest = text[text.index(after: end)...]
    } else {
      let end = text.firstIndex(of: ":") ?? text.endIndex
      name = String(text[..<end])
      guard name.utf8.allSatisfy(Self.isNameByte) else { return nil }
      rest = text[end...]
    }
    // The port behind a colon is optional (RFC 3986, section 3.2.3).
    guard !rest.isEmpty, rest != ":" else { return }
    guard rest.first == ":", rest.dropFirst().utf8.allSatisfy({ (0x30...0x39).contains($0) }), let port = UInt16(rest.dropFirst()) else {
      return nil
    }
    self.port = Int(port)
  }

  /// The characters that RFC 3986 allows in a registered name.
  private static func isNameByte(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"): true
    default: "-._~%!$&'()*+,;=".utf8.contains(byte)
    }
  }

  private static func isAddressByte(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "f"), UInt8(ascii: "0")...UInt8(ascii: "9"): true
    default: ":.%".utf8.contains(byte)
    }
  }
}

/// The origin of a web page (RFC 6454): scheme, host, and a port that defaults to that of the scheme.
struct WebOrigin: Hashable, Sendable {
  let scheme: String
  let name: String
  let port: Int

  /// Reads an `Origin` header; nil for `null` and any text that is no origin.
  ///
  /// A path is ignored, since some WebSocket libraries send one.
  init?(_ text: String) {
    let text = text.lowercased()
    guard let scheme = ["http", "https"].first(where: { text.hasPrefix($0 + "://") }) else { return nil }
    let rest = text.dropFirst(scheme.utf8.count + 3).prefix { $0 != "/" }
    guard let authority = Authority(rest), !authority.name.isEmpty else { return nil }
    self.scheme = scheme
    name = authority.name
    port = authority.port ?? Self.defaultPort(of: scheme)
  }

  /// Whether the server with this authority delivered a page of this origin.
  ///
  /// The schemes may differ, since a proxy may terminate TLS; a missing port is that of the page's scheme.
  func isSame(as authority: Authority) -> Bool {
    name == authority.name && port == authority.port ?? Self.defaultPort(of: scheme)
  }

  private static func defaultPort(of scheme: String) -> Int { scheme == "https" ? 443 : 80 }
}
