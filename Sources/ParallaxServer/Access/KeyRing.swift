package import ParallaxAPI

/// The API keys that a node accepts.
package struct KeyRing: Sendable, Hashable, CustomStringConvertible {
  /// A key with its holder's name and scopes.
  package struct Key: Sendable, Hashable {
    fileprivate let digest: KeyDigest
    fileprivate let principal: Principal

    package init(name: String, digest: KeyDigest, scopes: Set<AccessScope>) {
      self.digest = digest
      principal = Principal(.key(name), scopes: scopes)
    }
  }

  /// The reason that an `Authorization` header names no principal.
  enum Fault: Error, Equatable {
    case missing
    /// The header is not `Bearer` and a key.
    case malformed
    case unknownKey
    /// What the caller was admitted with is not accepted since a reload.
    case withdrawn
    /// The header has a token that is not accepted.
    case token(TokenFault)
  }

  private let keys: [Key]

  package init(_ keys: [Key] = []) {
    self.keys = keys
  }

  package var isEmpty: Bool { keys.isEmpty }

  /// The number of keys; their digests belong in no log.
  package var description: String { "\(keys.count) keys" }

  /// Finds the holder of the key in a request's `Authorization` headers.
  ///
  /// The key is hashed once, and compared with every key in a constant time: no answer comes earlier because a key is nearly right.
  func principal(authorization headers: [String]) throws(Fault) -> Principal {
    guard !headers.isEmpty else { throw .missing }
    guard let text = Self.bearer(headers), KeyDigest.isKey(text) else { throw .malformed }
    guard let found = holder(of: KeyDigest(of: text)) else { throw .unknownKey }
    return found
  }

  /// The holder of the key with a digest; nil if there is none.
  func holder(of digest: KeyDigest) -> Principal? {
    var found: Principal?
    for key in keys where key.digest == digest { found = key.principal }
    return found
  }

  /// The text behind the scheme `Bearer`, in any letter case, of the one `Authorization` header; nil for any other.
  static func bearer(_ headers: [String]) -> Substring? {
    guard headers.count == 1, let header = headers.first else { return nil }
    let scheme = header.prefix { $0 != " " }
    guard scheme.utf8.count == 6, scheme.lowercased() == "bearer" else { return nil }
    return header.dropFirst(6).drop { $0 == " " }
  }
}
