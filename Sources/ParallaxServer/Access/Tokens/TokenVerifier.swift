import ParallaxAPI
import Synchronization

/// Verifies bearer tokens (JWT, RFC 7519) by keys and rules that do not change; other keys or rules are another verifier.
///
/// A verified token is remembered until it expires, so that a caller's further requests cost a digest instead of a signature.
package final class TokenVerifier: Sendable {
  /// What a token must be.
  package struct Rules: Sendable, Hashable {
    package var issuer: String
    /// The audiences of which a token must have one.
    package var audiences: Set<String>
    /// The claim with the scopes.
    package var scopesClaim: String
    package var algorithms: Set<TokenAlgorithm>
    /// The tolerance of the times.
    package var leeway: Duration

    package init(
      issuer: String, audiences: Set<String>, scopesClaim: String = "scope",
      algorithms: Set<TokenAlgorithm> = Set(TokenAlgorithm.allCases), leeway: Duration = .seconds(30)
    ) {
      self.issuer = issuer
      self.audiences = audiences
      self.scopesClaim = scopesClaim
      self.algorithms = algorithms
      self.leeway = leeway
    }
  }

  let rules: Rules
  private let keys: TokenKeys
  private let cache: Mutex<TokenCache>

  package init(keys: TokenKeys, rules: Rules, capacity: Int = 10_000) {
    self.keys = keys
    self.rules = rules
    cache = Mutex(TokenCache(capacity: capacity))
  }

  /// The holder of a token at a time.
  func holder(of text: Substring, at now: Timestamp) throws(TokenFault) -> TokenHolder {
    let digest = KeyDigest(of: text)
    // A remembered token that has expired costs no signature either.
    if let known = cache.withLock({ $0.holder(of: digest) }) { return try known.checked(at: now) }
    let holder = try verified(text)
    // Claims of a token count after its signature, so that nobody learns a rule by guessing.
    _ = try holder.checked(at: now)
    cache.withLock { $0.keep(holder, of: digest) }
    return holder
  }

  /// The reasons that keys of the node's file are not used.
  package var unusableKeys: [String] { keys.unusable }

  /// The number of tokens that are remembered.
  var remembered: Int { cache.withLock { $0.count } }

  /// Whether a token that this or another verifier has accepted would still be accepted, apart from its times.
  func wouldAccept(_ token: TokenHolder.Origin) -> Bool {
    token.isAcceptable(by: rules) && keys.contains(token.key)
  }

  private func verified(_ text: Substring) throws(TokenFault) -> TokenHolder {
    let token = try SignedToken(text)
    guard rules.algorithms.contains(token.algorithm) else { throw .algorithm }
    let candidates = keys.candidates(for: token)
    guard !candidates.isEmpty else { throw .unknownKey }
    guard let key = candidates.first(where: { $0.signed(token) }) else { throw .signature }
    let claims = try token.claims()
    guard claims["iss"]?.stringValue == rules.issuer else { throw .issuer }
    let audiences = rules.audiences.intersection(Self.texts(claims["aud"]) { [$0] })
    guard !audiences.isEmpty else { throw .audience }
    guard let subject = claims["sub"]?.stringValue, (1...256).contains(subject.utf8.count) else { throw .subject }
    guard let expiry = Self.instant(claims["exp"]) else { throw .noExpiry }
    var beginning = Timestamp(milliseconds: .min)
    if let claim = claims["nbf"] {
      guard let instant = Self.instant(claim) else { throw .notYetValid }
      beginning = instant - rules.leeway
    }
    let words = Self.texts(claims[rules.scopesClaim]) { $0.split(separator: " ").map(String.init) }
    return TokenHolder(
      principal: Principal(.token(subject), scopes: Set(words.compactMap { AccessScope(rawValue: $0) })),
      beginning: beginning, expiry: expiry + rules.leeway,
      origin: TokenHolder.Origin(
        key: key.thumbprint, algorithm: token.algorithm, issuer: rules.issuer, audiences: audiences, scopesClaim: rules.scopesClaim))
  }

  /// The texts of a claim: those of a list, or the parts of a text.
  private static func texts(_ claim: JSONValue?, parts: (String) -> [String]) -> [String] {
    switch claim {
    case .string(let text): parts(text)
    case .array(let values): values.compactMap(\.stringValue)
    default: []
    }
  }

  /// A claim's seconds since 1970, with or without a fraction; nil for any other value.
  private static func instant(_ claim: JSONValue?) -> Timestamp? {
    guard let seconds = claim?.doubleValue, abs(seconds) < 1e12 else { return nil }
    return Timestamp(milliseconds: Int64(seconds * 1_000))
  }
}

/// What a verified token says.
struct TokenHolder: Sendable {
  /// What makes the token acceptable.
  struct Origin: Sendable, Hashable {
    /// The key that signed it.
    let key: KeyDigest
    let algorithm: TokenAlgorithm
    let issuer: String
    /// The audiences of the token that its verifier was looking for.
    let audiences: Set<String>
    /// The claim that the scopes come from.
    let scopesClaim: String

    /// Whether rules admit the token, and read the same scopes from it: wider rules refuse no token that stricter ones have accepted.
    func isAcceptable(by rules: TokenVerifier.Rules) -> Bool {
      rules.algorithms.contains(algorithm) && rules.issuer == issuer && !rules.audiences.isDisjoint(with: audiences)
        && rules.scopesClaim == scopesClaim
    }
  }

  let principal: Principal
  let beginning: Timestamp
  let expiry: Timestamp
  let origin: Origin

  /// The holder, if the token is valid at this time.
  func checked(at now: Timestamp) throws(TokenFault) -> TokenHolder {
    if now >= expiry { throw .expired }
    if now < beginning { throw .notYetValid }
    return self
  }
}

/// The verified tokens of the recent past, by their digests, in bounded memory.
///
/// Two generations stand for the order of use: the older one is dropped when the newer one is full, and a token that is used moves into
/// the newer one.
struct TokenCache {
  private let capacity: Int
  private var recent: [KeyDigest: TokenHolder] = [:]
  private var older: [KeyDigest: TokenHolder] = [:]

  init(capacity: Int) {
    self.capacity = capacity
  }

  var count: Int { recent.count + older.count }

  mutating func holder(of digest: KeyDigest) -> TokenHolder? {
    if let holder = recent[digest] { return holder }
    guard let holder = older.removeValue(forKey: digest) else { return nil }
    keep(holder, of: digest)
    return holder
  }

  mutating func keep(_ holder: TokenHolder, of digest: KeyDigest) {
    if recent.count >= max(1, capacity / 2) {
      older = recent
      recent = [:]
    }
    recent[digest] = holder
  }
}
