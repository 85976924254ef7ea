import ParallaxAPI

/// The reason that a file has no usable keys for tokens, without its contents.
package struct TokenKeysFault: Error, Sendable, Equatable {
  package let message: String

  init(_ message: String) {
    self.message = message
  }
}

/// The public keys that verify tokens.
package struct TokenKeys: Sendable {
  /// Each key may cost a verification, so their number is bounded.
  private static let limit = 64

  private let keys: [TokenKey]

  /// Reads a JWKS (RFC 7517); keys of other kinds and for other uses are left out.
  package init(jwks text: String) throws(TokenKeysFault) {
    guard let document = try? JSON.value(from: text.utf8), case .array(let entries)? = document["keys"] else {
      throw TokenKeysFault("expected a JWKS, a JSON object with the list keys")
    }
    guard entries.count <= Self.limit else { throw TokenKeysFault("\(entries.count) keys are more than \(Self.limit)") }
    var keys: [TokenKey] = []
    for (index, entry) in entries.enumerated() {
      if let key = try TokenKey(jwk: entry, place: "keys[\(index)]") { keys.append(key) }
    }
    guard !keys.isEmpty else {
      throw TokenKeysFault("no key can verify tokens; expected public keys of RSA, P-256, P-384, P-521 or Ed25519")
    }
    self.keys = keys
  }

  /// Reads one public key in PEM.
  package init(pem text: String) throws(TokenKeysFault) {
    guard let key = TokenKey(pem: text) else {
      throw TokenKeysFault("expected a PEM public key of RSA (2048 to 8192 bits), P-256, P-384, P-521 or Ed25519")
    }
    keys = [key]
  }

  /// The keys that may have signed a token: those of its algorithm, with its key identifier or without any.
  func candidates(for token: SignedToken) -> [TokenKey] {
    keys.filter { key in
      guard key.algorithms.contains(token.algorithm) else { return false }
      guard let id = key.id, let wanted = token.keyID else { return true }
      return id == wanted
    }
  }

  func contains(_ thumbprint: KeyDigest) -> Bool {
    keys.contains { $0.thumbprint == thumbprint }
  }
}
