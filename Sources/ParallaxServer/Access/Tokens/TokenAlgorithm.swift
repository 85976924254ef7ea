/// The signature algorithms of tokens (RFC 7518, RFC 8037).
///
/// All are asymmetric: an HMAC would make every node that can verify a token able to sign one, and `none` is no signature.
package enum TokenAlgorithm: String, Sendable, Hashable, CaseIterable {
  case rs256 = "RS256"
  case rs384 = "RS384"
  case rs512 = "RS512"
  case ps256 = "PS256"
  case ps384 = "PS384"
  case ps512 = "PS512"
  case es256 = "ES256"
  case es384 = "ES384"
  case es512 = "ES512"
  case eddsa = "EdDSA"

  static let rsa: Set<TokenAlgorithm> = [.rs256, .rs384, .rs512, .ps256, .ps384, .ps512]
}
