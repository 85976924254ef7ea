/// The reason that a token names no principal.
///
/// No text repeats a part of the token.
enum TokenFault: Error, Sendable, Hashable {
  case malformed
  case tooLong(limit: Int)
  case algorithm
  case unknownKey
  case signature
  case noExpiry
  case expired
  case notYetValid
  case issuer
  case audience
  case subject

  var message: String {
    switch self {
    case .malformed: "The token is not a JWT: expected a header, claims and a signature in base64url, separated by dots."
    case .tooLong(let limit): "The token is longer than \(limit) bytes."
    case .algorithm: "The token's algorithm (alg) is none that this node accepts (security.authentication.jwt.algorithms)."
    case .unknownKey: "The token's key (kid) is none of this node's keys (security.authentication.jwt)."
    case .signature: "The token's signature is not that of its key."
    case .noExpiry: "The token has no expiry (exp), a number of seconds."
    case .expired: "The token has expired (exp)."
    case .notYetValid: "The token is not yet valid (nbf)."
    case .issuer: "The token's issuer (iss) is not that of this node (security.authentication.jwt.issuer)."
    case .audience: "The token is for another audience (aud) than this node (security.authentication.jwt.audience)."
    case .subject: "The token names no subject (sub) of 1 to 256 bytes."
    }
  }
}
