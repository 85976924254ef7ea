import Crypto
import CryptoExtras
import Foundation
import ParallaxAPI

@testable import ParallaxServer

/// An identity provider of a test: a private key for one algorithm, which signs tokens and publishes its public part.
struct TokenSigner {
  let algorithm: TokenAlgorithm
  let id: String?
  let sign: (Data) throws -> Data
  /// The public key as a member of a JWKS.
  let jwk: JSONValue
  let pem: String

  init(_ algorithm: TokenAlgorithm, id: String? = "key-1") throws {
    self.algorithm = algorithm
    self.id = id
    var jwk: [String: JSONValue] = id.map { ["kid": .string($0)] } ?? [:]
    switch algorithm {
    case .es256:
      let key = P256.Signing.PrivateKey()
      sign = { try key.signature(for: $0).rawRepresentation }
      jwk.merge(Self.curve("P-256", key.publicKey.x963Representation)) { $1 }
      pem = key.publicKey.pemRepresentation
    case .es384:
      let key = P384.Signing.PrivateKey()
      sign = { try key.signature(for: $0).rawRepresentation }
      jwk.merge(Self.curve("P-384", key.publicKey.x963Representation)) { $1 }
      pem = key.publicKey.pemRepresentation
    case .es512:
      let key = P521.Signing.PrivateKey()
      sign = { try key.signature(for: $0).rawRepresentation }
      jwk.merge(Self.curve("P-521", key.publicKey.x963Representation)) { $1 }
      pem = key.publicKey.pemRepresentation
    case .eddsa:
      let key = Curve25519.Signing.PrivateKey()
      sign = { try key.signature(for: $0) }
      jwk.merge(["kty": "OKP", "crv": "Ed25519", "x": .string(Self.text(key.publicKey.rawRepresentation))]) { $1 }
      pem = key.publicKey.pemRepresentation
    case .rs256, .rs384, .rs512, .ps256, .ps384, .ps512:
      let key = try _RSA.Signing.PrivateKey(keySize: .bits2048)
      let padding: _RSA.Signing.Padding = algorithm.rawValue.hasPrefix("PS") ? .PSS : .insecurePKCS1v1_5
      sign = { data in
        switch algorithm {
        case .rs384, .ps384: try key.signature(for: SHA384.hash(data: data), padding: padding).rawRepresentation
        case .rs512, .ps512: try key.signature(for: SHA512.hash(data: data), padding: padding).rawRepresentation
        default: try key.signature(for: SHA256.hash(data: data), padding: padding).rawRepresentation
        }
      }
      let primitives = try key.publicKey.getKeyPrimitives()
      jwk.merge([
        "kty": "RSA", "n": .string(Self.text(primitives.modulus)), "e": .string(Self.text(primitives.publicExponent)),
      ]) { $1 }
      pem = key.publicKey.pemRepresentation
    }
    self.jwk = .object(jwk)
  }

  /// The keys of several providers as a JWKS.
  static func jwks(_ signers: TokenSigner...) throws -> String { try JSON.text(["keys": JSONValue.array(signers.map(\.jwk))]) }

  /// A token with these claims; `header` replaces members of the header.
  func token(_ claims: [String: JSONValue], header: [String: JSONValue] = [:]) throws -> String {
    var members: [String: JSONValue] = ["alg": .string(algorithm.rawValue), "typ": "JWT"]
    if let id { members["kid"] = .string(id) }
    let signed =
      try Self.text(JSON.encode(JSONValue.object(members.merging(header) { $1 }))) + "." + Self.text(JSON.encode(JSONValue.object(claims)))
    return try signed + "." + Self.text(sign(Data(signed.utf8)))
  }

  /// A token that ``rules`` accept, of an hour, with these scopes.
  func token(_ subject: String = "alice", _ scopes: AccessScope...) throws -> String {
    try token(Self.claims(subject, .string(scopes.map(\.rawValue).joined(separator: " "))))
  }

  static let rules = TokenVerifier.Rules(issuer: "https://id.example", audiences: ["parallax"])

  static func claims(_ subject: String = "alice", _ scope: JSONValue = "read", at now: Timestamp = .now) -> [String: JSONValue] {
    [
      "iss": "https://id.example", "aud": "parallax", "sub": .string(subject), "exp": .integer(now.milliseconds / 1_000 + 3_600),
      "scope": scope,
    ]
  }

  private static func curve(_ name: String, _ point: Data) -> [String: JSONValue] {
    let coordinates = point.dropFirst()
    let half = coordinates.count / 2
    return ["kty": "EC", "crv": .string(name), "x": .string(text(coordinates.prefix(half))), "y": .string(text(coordinates.suffix(half)))]
  }

  static func text(_ data: some DataProtocol) -> String {
    Data(data).base64EncodedString().replacing("+", with: "-").replacing("/", with: "_").replacing("=", with: "")
  }
}
