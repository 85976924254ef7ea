import ParallaxAPI

/// A token in its compact form (JWS, RFC 7515), not verified.
struct SignedToken {
  /// The longest accepted token, in bytes; the limit of a header line is greater.
  static let sizeLimit = 8 * 1024

  let algorithm: TokenAlgorithm
  /// The identifier of the key; nil without.
  let keyID: String?
  let signature: [UInt8]
  /// The bytes that the signature covers.
  let signed: [UInt8]
  private let payload: ArraySlice<UInt8>

  /// Whether a text has the form of a token: three parts.
  static func isToken(_ text: Substring) -> Bool {
    text.utf8.count { $0 == UInt8(ascii: ".") } == 2
  }

  init(_ text: Substring) throws(TokenFault) {
    let bytes = Array(text.utf8)
    guard bytes.count <= Self.sizeLimit else { throw .tooLong(limit: Self.sizeLimit) }
    let parts = bytes.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
    guard parts.count == 3, let signature = Base64URL.decode(parts[2]), let header = Self.object(parts[0]) else { throw .malformed }
    // A critical extension that is not understood must not be ignored (RFC 7515, section 4.1.11), and none is understood.
    guard header["crit"] == nil, let name = header["alg"]?.stringValue else { throw .malformed }
    guard let algorithm = TokenAlgorithm(rawValue: name) else { throw .algorithm }
    self.algorithm = algorithm
    keyID = header["kid"]?.stringValue
    self.signature = signature
    signed = Array(bytes[..<parts[1].endIndex])
    payload = parts[1]
  }

  /// The claims, which count only after the signature was verified.
  func claims() throws(TokenFault) -> JSONValue {
    guard let claims = Self.object(payload) else { throw .malformed }
    return claims
  }

  /// A JSON object in base64url.
  private static func object(_ text: ArraySlice<UInt8>) -> JSONValue? {
    guard let bytes = Base64URL.decode(text), let value = try? JSON.value(from: bytes), case .object = value else { return nil }
    return value
  }
}
