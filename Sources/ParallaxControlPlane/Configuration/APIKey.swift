public import ParallaxAPI
package import ParallaxServer

/// An API key as a node keeps it: the holder's name, the key's digest, and what the holder may do.
///
/// The key itself is not kept, so no log and no printed configuration can show it.
public struct APIKey: Sendable, Equatable {
  /// The name of the holder, in logs: 1 to 64 letters, digits, `-`, `_` or `.`, unique among the keys of a node.
  public var name: String
  /// What the holder may do; at least one scope.
  public var scopes: Set<AccessScope>
  package let digest: KeyDigest

  /// `sha256:` and the 64 hexadecimal digits of the key's SHA-256 digest.
  public var hash: String { digest.text }

  /// Makes a key of which only the digest is known.
  ///
  /// - Parameters:
  ///   - name: The name of the holder.
  ///   - hash: `sha256:` and 64 hexadecimal digits, as `parallax keys generate` prints them; anything else makes no key.
  ///   - scopes: What the holder may do.
  public init?(name: String, hash: String, scopes: Set<AccessScope>) {
    guard let digest = KeyDigest(text: hash) else { return nil }
    self.init(name: name, digest: digest, scopes: scopes)
  }

  /// Makes a key from its text, which must be random: a short or guessable text could be found by trying.
  ///
  /// - Parameters:
  ///   - name: The name of the holder.
  ///   - key: 20 to 512 letters, digits or `-._~+/=`; anything else makes no key.
  ///   - scopes: What the holder may do.
  public init?(name: String, key: String, scopes: Set<AccessScope>) {
    guard KeyDigest.isKey(key) else { return nil }
    self.init(name: name, digest: KeyDigest(of: key), scopes: scopes)
  }

  private init(name: String, digest: KeyDigest, scopes: Set<AccessScope>) {
    self.name = name
    self.digest = digest
    self.scopes = scopes
  }
}

extension KeyRing {
  init(_ keys: [APIKey]) {
    self.init(keys.map { Key(name: $0.name, digest: $0.digest, scopes: $0.scopes) })
  }
}

extension NodeConfiguration.Authentication {
  /// Describes the first invalid entry; nil if there is none.
  var violation: String? {
    let names = apiKeys.map(\.name)
    if let name = names.first(where: { !APIKeyText.isName($0) }) {
      return "the name \(FoundText.quoted(name)) is not \(APIKeyText.nameForm)"
    }
    if let key = apiKeys.first(where: \.scopes.isEmpty) { return "the key \(key.name) has no scope" }
    if let name = names.firstRepeated { return "two keys have the name \(name)" }
    if let digest = apiKeys.map(\.digest).firstRepeated {
      return "\(apiKeys.filter { $0.digest == digest }.map(\.name).joined(separator: " and ")) are the same key"
    }
    return nil
  }
}

extension NodeConfiguration {
  /// Who may call the node, in one line; nil for a node on loopback that serves everyone on its machine.
  package var accessSummary: String? {
    let keys = security.authentication.apiKeys
    let certificates = security.mtls.enabled ? security.mtls.identities.map(\.name) : []
    let issuer = security.authentication.jwt.isEnabled ? security.authentication.jwt.issuer : nil
    let holders = [("API keys", keys.map(\.name)), ("JWT of", issuer.map { [$0] } ?? []), ("certificates", certificates)].filter {
      !$0.1.isEmpty
    }
    if !holders.isEmpty { return holders.map { "\($0): \($1.joined(separator: ", "))" }.joined(separator: "; ") }
    if AccessGuard.isLoopbackName(server.host.lowercased()) { return nil }
    if security.allowUnauthenticated { return "everyone who can connect (security.allowUnauthenticated)" }
    return "protected mode: probes, metrics and status only; set security.authentication.apiKeys"
  }
}

extension Array where Element: Hashable {
  fileprivate var firstRepeated: Element? {
    var seen: Set<Element> = []
    return first { !seen.insert($0).inserted }
  }
}

/// The texts of API keys in files and variables.
enum APIKeyText {
  static let nameForm = "1 to 64 letters, digits, '-', '_' or '.'"
  static let keyForm = "20 to 512 letters, digits or -._~+/="
  static let hashForm = "sha256: and 64 hexadecimal digits"
  static let scopeForm = "a list of \(AccessScope.allCases.map(\.rawValue).joined(separator: ", "))"

  static func isName(_ text: String) -> Bool {
    (1...64).contains(text.utf8.count) && text.utf8.allSatisfy(PatternDefinition.isNameByte)
  }

  /// Reads the keys of a variable: `KEY`, which may do everything, or `name:scope+scope:KEY`, separated by commas, spaces or line breaks;
  /// nil if one is invalid.
  ///
  /// In place of a key stands its hash too.
  static func keys(_ text: String) -> [APIKey]? {
    let entries = text.split { $0 == "," || $0.isWhitespace }
    let keys = entries.enumerated().compactMap { key(String($0.element), number: $0.offset + 1) }
    return keys.count == entries.count && !keys.isEmpty ? keys : nil
  }

  private static func key(_ entry: String, number: Int) -> APIKey? {
    if let key = key(name: "key-\(number)", secret: entry, scopes: Set(AccessScope.allCases)) { return key }
    let parts = entry.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false).map(String.init)
    guard parts.count == 3, isName(parts[0]), let scopes = scopes(parts[1].split(separator: "+").map(String.init)) else { return nil }
    return key(name: parts[0], secret: parts[2], scopes: scopes)
  }

  private static func key(name: String, secret: String, scopes: Set<AccessScope>) -> APIKey? {
    APIKey(name: name, hash: secret, scopes: scopes) ?? APIKey(name: name, key: secret, scopes: scopes)
  }

  /// Reads names of scopes; nil if there are none, or if one is unknown.
  static func scopes(_ names: [String]) -> Set<AccessScope>? {
    let scopes = names.compactMap { AccessScope(rawValue: $0) }
    return scopes.count == names.count && !scopes.isEmpty ? Set(scopes) : nil
  }

  /// Scopes in their order, separated by commas.
  static func text(_ scopes: Set<AccessScope>) -> String {
    AccessScope.allCases.filter(scopes.contains).map(\.rawValue).joined(separator: ", ")
  }

  /// The keys in the notation of the configuration file; nil without any.
  static func text(_ keys: [APIKey], secretsHidden: Bool) -> ConfigurationText? {
    guard !keys.isEmpty else { return nil }
    let entries = keys.map { key in
      "{ name: \"\(key.name)\", hash: \"\(secretsHidden ? "***" : key.hash)\", scopes: [\(text(key.scopes))] }"
    }
    return .plain("[\(entries.joined(separator: ", "))]")
  }
}
