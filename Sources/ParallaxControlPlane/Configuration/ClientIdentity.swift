public import ParallaxAPI

/// A name in clients' certificates, and what the holders may do.
public struct ClientIdentity: Sendable, Equatable {
  /// A subject alternative name: a DNS name, a URI or an email address, compared as it is written.
  ///
  /// The subject's common name does not count.
  public var name: String
  /// What the holders may do; at least one scope.
  public var scopes: Set<AccessScope>

  /// Makes an identity.
  ///
  /// - Parameters:
  ///   - name: A DNS name, a URI or an email address, 1 to 512 letters, digits or `-._~:/@+%*=`.
  ///   - scopes: What the holders may do.
  public init(name: String, scopes: Set<AccessScope>) {
    self.name = name
    self.scopes = scopes
  }

  static let nameForm = "a DNS name, a URI or an email address of 1 to 512 letters, digits or -._~:/@+%*="

  static func isName(_ text: String) -> Bool {
    (1...512).contains(text.utf8.count)
      && text.utf8.allSatisfy { PatternDefinition.isNameByte($0) || "~:/@+%*=".utf8.contains($0) }
  }

  /// The identities in the notation of the configuration file; nil without any.
  static func text(_ identities: [ClientIdentity]) -> ConfigurationText? {
    guard !identities.isEmpty else { return nil }
    let entries = identities.map { "{ name: \"\($0.name)\", scopes: [\(APIKeyText.text($0.scopes))] }" }
    return .plain("[\(entries.joined(separator: ", "))]")
  }
}
