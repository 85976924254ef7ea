import Foundation
import Logging
import ParallaxAPI
import ParallaxServer
import Testing

@testable import ParallaxControlPlane

@Suite struct TokenConfigurationTests {
  private static let path = "security.authentication.jwt"
  /// The key of RFC 8037, appendix A.
  private static let jwks = #"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"k","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#

  private func file(_ members: String) -> String { "security: { authentication: { jwt: { \(members) } } }" }

  @Test func `A complete section is read, with its defaults`() throws {
    let jwt = try load(file("jwksFile: k.json, issuer: \"https://id.example\", audience: [parallax]")).security.authentication.jwt
    #expect(jwt.isEnabled && jwt.jwksFile == "k.json" && jwt.publicKey == nil)
    #expect(jwt.issuer == "https://id.example" && jwt.audience == ["parallax"] && jwt.scopesClaim == "scope" && jwt.leeway == .seconds(30))
    #expect(jwt.algorithms.map(\.rawValue) == ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"])
    let narrow = try load(
      file("publicKey: k.pem, issuer: i, audience: \"a, b\", algorithms: [ES256, EdDSA], leeway: 0s, scopesClaim: roles"))
    #expect(narrow.security.authentication.jwt.algorithms == [.es256, .eddsa])
    #expect(narrow.security.authentication.jwt.audience == ["a", "b"] && narrow.security.authentication.jwt.scopesClaim == "roles")
    #expect(try load(narrow.render(secretsHidden: false)).security == narrow.security)
    #expect(narrow.accessSummary == "JWT of: i")
    #expect(try !load().security.authentication.jwt.isEnabled)
  }

  @Test(
    arguments: [
      ("jwksFile: k, publicKey: p, issuer: i, audience: a", "\(path).jwksFile: the keys of tokens are set twice"),
      ("issuer: i, audience: a", "\(path).issuer: tokens need keys"), ("leeway: 1s", "\(path).leeway: tokens need keys"),
      ("jwksFile: k, audience: a", "\(path).jwksFile: a token of any issuer would count; set \(path).issuer"),
      ("jwksFile: k, issuer: i", "\(path).jwksFile: a token for any other service would count; set \(path).audience"),
      ("jwksFile: k, issuer: i, audience: a, algorithms: [HS256]", "\(path).algorithms: found [\"HS256\"], expected a list of signature"),
      ("jwksFile: k, issuer: i, audience: a, algorithms: [none]", "\(path).algorithms: found [\"none\"], expected a list of signature"),
      ("jwksFile: k, issuer: i, audience: a, algorithms: []", "\(path).algorithms: found [], expected a list of signature"),
      ("jwksFile: k, issuer: i, audience: a, leeway: 301s", "\(path).leeway: found \"301s\", expected a duration from 0s to 5m"),
      ("jwksFile: k, issuer: i, audience: a, jwksfile: x", "\(path).jwksfile: unknown key; did you mean \(path).jwksFile?"),
    ])
  func `An incomplete or unsafe section is refused`(members: String, fault: String) {
    let found = faults(file(members))
    #expect(found.count == 1 && found[0].hasPrefix("conf/node.yaml:1: \(fault)"), "\(found)")
  }

  @Test func `A node with tokens tells its callers apart, and needs no other credentials`() {
    let jwt = "authentication: { jwt: { jwksFile: k, issuer: i, audience: a } }"
    let open = faults("security: { allowUnauthenticated: true, \(jwt) }")
    #expect(open.count == 1 && open[0].contains("a node that accepts tokens answers their holders only"))
    #expect(faults("security: { \(jwt), mtls: { enabled: true, clientCA: a, serverCert: c, serverKey: k } }").isEmpty)
  }

  @Test func `The file of the keys is read, and faults name it without its contents`() throws {
    let folder = FileManager.default.temporaryDirectory.appending(path: "jwks-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let file = folder.appending(path: "keys.json")
    var configuration = NodeConfiguration(nodeID: "node-1")
    #expect(try configuration.makeTokenVerifier(logger: Logger(label: "test")) == nil)
    configuration.security.authentication.jwt = NodeConfiguration.JWT(jwksFile: file.path, issuer: "i", audience: ["a"])
    func fault() -> String? {
      do throws(ConfigurationError) {
        _ = try configuration.makeTokenVerifier(logger: Logger(label: "test"))
        return nil
      } catch {
        return error.description
      }
    }
    let place = "\(file.path): \(Self.path).jwksFile: "
    #expect(fault() == place + "the file does not exist")
    try Data(Self.jwks.utf8).write(to: file)
    #expect(fault() == nil)
    for (contents, problem) in [
      ("hunter2", "expected a JWKS, a JSON object with the list keys"), (#"{"keys":[]}"#, "no key can verify tokens"),
      (#"{"keys":[{"kty":"oct","k":"hunter2"}]}"#, "no key can verify tokens"),
      (Self.jwks.replacing(#""kid""#, with: #""d":"hunter2","kid""#), "keys[0]: a private key; a node needs the public part only"),
      (
        Self.jwks.replacing("11qY", with: "+/=="),
        "no key can verify tokens; expected public keys of RSA, P-256, P-384, P-521 or Ed25519 (keys[0]: not a key of its kind"
      ),
    ] {
      try Data(contents.utf8).write(to: file)
      let found = fault() ?? ""
      #expect(found.hasPrefix(place + problem) && !found.contains("hunter2"), "\(found)")
    }
    configuration.security.authentication.jwt.jwksFile = nil
    configuration.security.authentication.jwt.publicKey = file.path
    #expect(fault()?.contains("\(Self.path).publicKey: expected a PEM public key") == true)
  }
}
