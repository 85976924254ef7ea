package import ParallaxAPI
import ParallaxText

/// The caller of a request: an identity, and what it may do.
///
/// Every request has exactly one principal; it is decided before the request reaches a route.
package struct Principal: Sendable, Hashable {
  /// How the caller is known.
  package enum Identity: Sendable, Hashable, CustomStringConvertible {
    /// Any caller of a node without access control.
    case everyone
    /// A caller without valid credentials.
    case anonymous
    /// The holder of the API key with this name.
    case key(String)
    /// The holder of a client certificate with this name.
    case certificate(String)
    /// The subject of a token (JWT).
    case token(String)

    package var description: String {
      switch self {
      case .everyone: "everyone"
      case .anonymous: "a caller without credentials"
      case .key(let name): "the key \(name)"
      case .certificate(let name): "the certificate \(name)"
      // An identity provider may let people choose their subject.
      case .token(let subject): "the JWT \"\(OneLine.escaping(subject, isQuoted: true))\""
      }
    }
  }

  package let identity: Identity
  package let scopes: Set<AccessScope>

  package init(_ identity: Identity, scopes: Set<AccessScope>) {
    self.identity = identity
    self.scopes = scopes
  }

  /// Any caller of a node without access control, who may do everything.
  package static let everyone = Principal(.everyone, scopes: Set(AccessScope.allCases))
  /// A caller without valid credentials, who may use open routes only.
  package static let anonymous = Principal(.anonymous, scopes: [])

  /// Whether the caller has a scope, by itself or included in another.
  package func may(_ scope: AccessScope) -> Bool {
    scopes.contains { $0.includes(scope) }
  }
}
