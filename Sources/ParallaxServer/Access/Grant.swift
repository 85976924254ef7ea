import ParallaxAPI

/// What a connection was opened with, so that the removal of a key can end it.
struct Grant: Sendable, Hashable {
  enum Credential: Sendable, Hashable {
    /// None was needed, or a certificate, whose names do not change while the node runs.
    case none
    case key(KeyDigest)
    case token(TokenHolder.Origin)
  }

  let principal: Principal
  let credential: Credential

  /// The text for a connection that ends because its caller lacks the scope now.
  var removal: String { "\(principal.identity) may not connect agents any more" }
}

extension ServerConnections {
  /// Asks the agent connections to close that could not be opened by these rules.
  func closeUnlessGranted(by access: AccessGuard) {
    closeAll(code: .policyViolation) { grant in
      guard let grant = grant as? Grant, !access.stillGrants(.agent, to: grant) else { return nil }
      return grant.removal
    }
  }
}
