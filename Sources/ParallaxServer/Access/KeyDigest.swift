import Crypto
import ParallaxText

/// The SHA-256 digest of an API key, which is all that a node keeps of it.
///
/// A plain digest suffices because keys are long and random: nobody can try them all. No description shows it all the same: with the
/// digest of a weak key, the key could be tried elsewhere.
package struct KeyDigest: Sendable, Hashable, CustomStringConvertible, CustomReflectable {
  private static let prefix = "sha256:"

  private let words: (UInt64, UInt64, UInt64, UInt64)

  /// Hashes a key.
  package init(of key: some StringProtocol) {
    var hash = SHA256()
    let isHashed: Void? = key.utf8.withContiguousStorageIfAvailable { hash.update(bufferPointer: UnsafeRawBufferPointer($0)) }
    if isHashed == nil { hash.update(data: Array(key.utf8)) }
    self.init(bytes: Array(hash.finalize()))
  }

  /// Reads `sha256:` and 64 hexadecimal digits; nil for anything else.
  package init?(text: String) {
    guard text.hasPrefix(Self.prefix) else { return nil }
    let digits = text.utf8.dropFirst(Self.prefix.utf8.count).map { Hexadecimal.value(of: $0) }
    guard digits.count == 64, !digits.contains(nil) else { return nil }
    let values = digits.compactMap(\.self)
    self.init(bytes: stride(from: 0, to: 64, by: 2).map { values[$0] << 4 | values[$0 + 1] })
  }

  private init(bytes: [UInt8]) {
    func word(_ index: Int) -> UInt64 { bytes[(index * 8)..<(index * 8 + 8)].reduce(0) { $0 << 8 | UInt64($1) } }
    words = (word(0), word(1), word(2), word(3))
  }

  /// `sha256:` and 64 hexadecimal digits.
  package var text: String {
    Self.prefix + [words.0, words.1, words.2, words.3].map { Hexadecimal.text(of: $0) }.joined()
  }

  package var description: String { "\(Self.prefix)***" }
  package var customMirror: Mirror { Mirror(self, children: []) }

  /// Compares in a time that does not depend on the digests.
  package static func == (first: KeyDigest, second: KeyDigest) -> Bool {
    let (a, b) = (first.words, second.words)
    return (a.0 ^ b.0) | (a.1 ^ b.1) | (a.2 ^ b.2) | (a.3 ^ b.3) == 0
  }

  package func hash(into hasher: inout Hasher) {
    hasher.combine(words.0)
  }

  /// Whether a text has the length and the characters of a key.
  package static func isKey(_ text: some StringProtocol) -> Bool {
    (20...512).contains(text.utf8.count) && text.utf8.allSatisfy(isKeyByte)
  }

  /// The characters of a key: those of a token in an `Authorization` header (RFC 6750, section 2.1).
  static func isKeyByte(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"): true
    default: "-._~+/=".utf8.contains(byte)
    }
  }
}
