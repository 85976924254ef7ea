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
    guard let header = headers.first else { throw .missing }
    guard headers.count == 1, let token = Self.token(in: header) else { throw .malformed }
    let digest = KeyDigest(of: token)
    var found: Principal?
    for key in keys where key.digest == digest { found = key.principal }
    guard let found else { throw .unknownKey }
    return found
  }

  /// The token behind the scheme `Bearer`, in any letter case.
  static func token(in header: String) -> Substring? {
    let scheme = header.prefix { $0 != " " }
    guard scheme.utf8.count == 6, scheme.lowercased() == "bearer" else { return nil }
    let token = header.dropFirst(6).drop { $0 == " " }
    return KeyDigest.isKey(token) ? token : nil
  }
}
