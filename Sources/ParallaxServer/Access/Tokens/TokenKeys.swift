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
  /// The reasons, each with its place, that keys of a supported kind in a JWKS are not used.
  package let unusable: [String]

  /// Reads a JWKS (RFC 7517); keys of other kinds and for other uses are left out.
  ///
  /// One unusable key does not cost the others, as section 5 advises: the owner of the set may add keys for other readers.
  /// - Throws: ``TokenKeysFault`` if no key can be used, and for a private key, which must not be here.
  package init(jwks text: String) throws(TokenKeysFault) {
    guard let document = try? JSON.value(from: text.utf8), case .array(let entries)? = document["keys"] else {
      throw TokenKeysFault("expected a JWKS, a JSON object with the list keys")
    }
    guard entries.count <= Self.limit else { throw TokenKeysFault("\(entries.count) keys are more than \(Self.limit)") }
    var keys: [TokenKey] = []
    var unusable: [String] = []
    for (index, entry) in entries.enumerated() {
      let place = "keys[\(index)]"
      if entry["d"] != nil { throw TokenKeysFault("\(place): a private key; a node needs the public part only") }
      do throws(TokenKeysFault) {
        if let key = try TokenKey(jwk: entry, place: place) { keys.append(key) }
      } catch {
        unusable.append(error.message)
      }
    }
    guard !keys.isEmpty else {
      let reasons = unusable.isEmpty ? "" : " (" + unusable.joined(separator: "; ") + ")"
      throw TokenKeysFault("no key can verify tokens; expected public keys of RSA, P-256, P-384, P-521 or Ed25519" + reasons)
    }
    self.keys = keys
    self.unusable = unusable
  }

  /// Reads one public key in PEM.
  package init(pem text: String) throws(TokenKeysFault) {
    guard let key = TokenKey(pem: text) else {
      throw TokenKeysFault("expected a PEM public key of RSA (2048 to 8192 bits), P-256, P-384, P-521 or Ed25519")
    }
    keys = [key]
    unusable = []
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
