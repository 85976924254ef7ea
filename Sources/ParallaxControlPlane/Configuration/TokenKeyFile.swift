import Logging
import ParallaxServer

/// The file of the keys that verify tokens, and the key of the configuration that names it.
struct TokenKeyFile: Sendable, Equatable {
  let path: String
  let key: String
  /// The file is a JWKS, else a public key in PEM.
  let isSet: Bool

  /// The file of a configuration; nil if the node accepts no tokens.
  init?(_ configuration: NodeConfiguration) {
    let jwt = configuration.security.authentication.jwt
    guard let path = jwt.jwksFile ?? jwt.publicKey else { return nil }
    self.path = path
    isSet = jwt.jwksFile != nil
    key = "security.authentication.jwt." + (isSet ? "jwksFile" : "publicKey")
  }

  /// The contents, by which a change is noticed; nil if the file cannot be read.
  var contents: String? { try? ConfigurationFiles.text(of: path) }

  /// Reads the keys.
  ///
  /// - Throws: ``ConfigurationError`` that names the file and its key, without the contents.
  func keys() throws(ConfigurationError) -> TokenKeys {
    let contents: String
    do throws(FileProblem) { contents = try ConfigurationFiles.text(of: path) } catch { throw fault("the file \(error)") }
    do throws(TokenKeysFault) {
      return isSet ? try TokenKeys(jwks: contents) : try TokenKeys(pem: contents)
    } catch {
      throw fault(error.message)
    }
  }

  private func fault(_ problem: String) -> ConfigurationError {
    ConfigurationError([ConfigurationFault(.file(path, line: nil), key: key, .unreadable(problem))])
  }
}

extension NodeConfiguration {
  /// Makes the verifier of tokens, and warns of keys that it leaves out; nil if the node accepts no tokens.
  ///
  /// - Throws: ``ConfigurationError`` that names the unusable file.
  func makeTokenVerifier(logger: Logger) throws(ConfigurationError) -> TokenVerifier? {
    guard let file = TokenKeyFile(self) else { return nil }
    let jwt = security.authentication.jwt
    let verifier = TokenVerifier(
      keys: try file.keys(),
      rules: TokenVerifier.Rules(
        issuer: jwt.issuer ?? "", audiences: Set(jwt.audience), scopesClaim: jwt.scopesClaim, algorithms: Set(jwt.algorithms),
        leeway: jwt.leeway))
    if !verifier.unusableKeys.isEmpty {
      logger.warning(
        "keys for tokens are left out", metadata: ["file": "\(file.path)", "keys": "\(verifier.unusableKeys.joined(separator: "; "))"])
    }
    return verifier
  }
}
