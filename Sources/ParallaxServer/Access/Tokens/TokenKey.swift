import Crypto
import CryptoExtras
import ParallaxAPI

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// A public key that verifies tokens, for the algorithms of its kind only: the key decides how it is used, not the token (RFC 8725,
/// section 3.1).
struct TokenKey: Sendable {
  private enum Material {
    case p256(P256.Signing.PublicKey)
    case p384(P384.Signing.PublicKey)
    case p521(P521.Signing.PublicKey)
    case ed25519(Curve25519.Signing.PublicKey)
    case rsa(_RSA.Signing.PublicKey)
  }

  /// The sizes of RSA keys: below they are weak, above each verification takes long.
  static let rsaSizes = 2_048...8_192

  /// The identifier that tokens name; nil if the key has none.
  let id: String?
  let algorithms: Set<TokenAlgorithm>
  /// The digest of the key.
  let thumbprint: KeyDigest
  private let material: Material

  private init(id: String?, algorithms: Set<TokenAlgorithm>, material: Material, representation: Data) {
    self.id = id
    self.algorithms = algorithms
    self.material = material
    thumbprint = KeyDigest(of: representation.base64EncodedString())
  }

  private init(_ key: P256.Signing.PublicKey, id: String?) {
    self.init(id: id, algorithms: [.es256], material: .p256(key), representation: key.x963Representation)
  }

  private init(_ key: P384.Signing.PublicKey, id: String?) {
    self.init(id: id, algorithms: [.es384], material: .p384(key), representation: key.x963Representation)
  }

  private init(_ key: P521.Signing.PublicKey, id: String?) {
    self.init(id: id, algorithms: [.es512], material: .p521(key), representation: key.x963Representation)
  }

  private init(_ key: Curve25519.Signing.PublicKey, id: String?) {
    self.init(id: id, algorithms: [.eddsa], material: .ed25519(key), representation: key.rawRepresentation)
  }

  private init?(_ key: _RSA.Signing.PublicKey, id: String?, algorithms: Set<TokenAlgorithm> = TokenAlgorithm.rsa) {
    guard Self.rsaSizes.contains(key.keySizeInBits) else { return nil }
    self.init(id: id, algorithms: algorithms, material: .rsa(key), representation: key.derRepresentation)
  }

  /// Reads a public key in PEM; nil if it is none of a supported kind and size.
  init?(pem: String) {
    if let key = try? P256.Signing.PublicKey(pemRepresentation: pem) {
      self.init(key, id: nil)
    } else if let key = try? P384.Signing.PublicKey(pemRepresentation: pem) {
      self.init(key, id: nil)
    } else if let key = try? P521.Signing.PublicKey(pemRepresentation: pem) {
      self.init(key, id: nil)
    } else if let key = try? Curve25519.Signing.PublicKey(pemRepresentation: pem) {
      self.init(key, id: nil)
    } else if let key = try? _RSA.Signing.PublicKey(pemRepresentation: pem) {
      self.init(key, id: nil)
    } else {
      return nil
    }
  }

  /// Reads a key of a JWKS (RFC 7517); nil if the key is of another kind or for another use.
  ///
  /// - Throws: ``TokenKeysFault`` for a key of a supported kind that cannot be used.
  init?(jwk: JSONValue, place: String) throws(TokenKeysFault) {
    guard let kind = jwk["kty"]?.stringValue else { throw TokenKeysFault("\(place): expected kty, the key's kind") }
    if let use = jwk["use"]?.stringValue, use != "sig" { return nil }
    func number(_ name: String) throws(TokenKeysFault) -> [UInt8] {
      guard let text = jwk[name]?.stringValue, let bytes = Base64URL.decode(text.utf8), !bytes.isEmpty else {
        throw TokenKeysFault("\(place): expected \(name) in base64url")
      }
      return bytes
    }
    let id = jwk["kid"]?.stringValue
    let key: TokenKey?
    switch (kind, jwk["crv"]?.stringValue) {
    case ("EC", "P-256"): key = try? TokenKey(P256.Signing.PublicKey(x963Representation: [4] + number("x") + number("y")), id: id)
    case ("EC", "P-384"): key = try? TokenKey(P384.Signing.PublicKey(x963Representation: [4] + number("x") + number("y")), id: id)
    case ("EC", "P-521"): key = try? TokenKey(P521.Signing.PublicKey(x963Representation: [4] + number("x") + number("y")), id: id)
    case ("OKP", "Ed25519"): key = try? TokenKey(Curve25519.Signing.PublicKey(rawRepresentation: number("x")), id: id)
    case ("RSA", _):
      // An RSA key whose document names its algorithm is used for that one only.
      let named = jwk["alg"]?.stringValue.map { name in Set(TokenAlgorithm(rawValue: name).map { [$0] } ?? []) }
      let algorithms = TokenAlgorithm.rsa.intersection(named ?? TokenAlgorithm.rsa)
      if algorithms.isEmpty { return nil }
      key = try? TokenKey(_RSA.Signing.PublicKey(n: number("n"), e: number("e")), id: id, algorithms: algorithms)
    default: return nil
    }
    guard let key else {
      throw TokenKeysFault(
        "\(place): not a key of its kind; RSA keys have \(Self.rsaSizes.lowerBound) to \(Self.rsaSizes.upperBound) bits")
    }
    self = key
  }

  /// Whether the signature of the token is that of this key.
  func signed(_ token: SignedToken) -> Bool {
    guard algorithms.contains(token.algorithm) else { return false }
    switch material {
    case .p256(let key):
      let signature = try? P256.Signing.ECDSASignature(rawRepresentation: token.signature)
      return signature.map { key.isValidSignature($0, for: SHA256.hash(data: token.signed)) } ?? false
    case .p384(let key):
      let signature = try? P384.Signing.ECDSASignature(rawRepresentation: token.signature)
      return signature.map { key.isValidSignature($0, for: SHA384.hash(data: token.signed)) } ?? false
    case .p521(let key):
      let signature = try? P521.Signing.ECDSASignature(rawRepresentation: token.signature)
      return signature.map { key.isValidSignature($0, for: SHA512.hash(data: token.signed)) } ?? false
    case .ed25519(let key): return key.isValidSignature(token.signature, for: token.signed)
    case .rsa(let key):
      let signature = _RSA.Signing.RSASignature(rawRepresentation: token.signature)
      let padding: _RSA.Signing.Padding = [.ps256, .ps384, .ps512].contains(token.algorithm) ? .PSS : .insecurePKCS1v1_5
      switch token.algorithm {
      case .rs384, .ps384: return key.isValidSignature(signature, for: SHA384.hash(data: token.signed), padding: padding)
      case .rs512, .ps512: return key.isValidSignature(signature, for: SHA512.hash(data: token.signed), padding: padding)
      default: return key.isValidSignature(signature, for: SHA256.hash(data: token.signed), padding: padding)
      }
    }
  }
}
