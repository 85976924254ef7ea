import ParallaxAPI
import Testing

@testable import ParallaxServer

@Suite struct KeyRingTests {
  static let key = "plx_0123456789abcdef0123456789abcdef"

  private let ring = KeyRing([
    KeyRing.Key(name: "ci", digest: KeyDigest(of: Self.key), scopes: [.execute]),
    KeyRing.Key(name: "other", digest: KeyDigest(of: Self.key + "0"), scopes: [.admin]),
  ])

  private func principal(_ headers: String...) -> Result<Principal, KeyRing.Fault> {
    do throws(KeyRing.Fault) {
      return .success(try ring.principal(authorization: headers))
    } catch {
      return .failure(error)
    }
  }

  @Test(arguments: ["Bearer \(key)", "bearer \(key)", "BEARER   \(key)"])
  func findsTheHolderOfAKey(header: String) {
    #expect(principal(header) == .success(Principal(.key("ci"), scopes: [.execute])))
    #expect(principal(header + "0") == .success(Principal(.key("other"), scopes: [.admin])))
  }

  @Test func tellsMissingMalformedAndUnknownKeysApart() {
    #expect(principal() == .failure(.missing))
    for header in [
      "", Self.key, "Basic \(Self.key)", "Bearer", "Bearer short", "Bearer \(Self.key) x", "Bearer\(Self.key)", "Bearer ä\(Self.key)",
    ] {
      #expect(principal(header) == .failure(.malformed), "\(header)")
    }
    #expect(principal("Bearer \(Self.key)", "Bearer \(Self.key)") == .failure(.malformed), "two headers")
    #expect(principal("Bearer " + String(repeating: "x", count: 513)) == .failure(.malformed))
    for key in [Self.key.dropLast() + "x", "x" + Self.key.dropFirst(), Self.key.dropLast(), Self.key[...].uppercased()[...]] {
      #expect(principal("Bearer \(key)") == .failure(.unknownKey), "\(key)")
    }
  }

  @Test func scopesIncludeWhatTheyShould() {
    let granted = Dictionary(
      uniqueKeysWithValues: AccessScope.allCases.map { scope in
        (scope, Set(AccessScope.allCases.filter { Principal(.key("k"), scopes: [scope]).may($0) }))
      })
    #expect(granted == [.read: [.read], .execute: [.read, .execute], .agent: [.agent], .admin: [.read, .execute, .admin]])
    #expect(AccessScope.allCases.allSatisfy(Principal.everyone.may))
    #expect(!AccessScope.allCases.contains(where: Principal.anonymous.may))
  }

  @Test func aCertificateHasTheScopesOfAllItsNames() {
    let identities = ClientIdentities(["spiffe://a/b": [.agent], "b.example": [.read], "c.example": [.admin]])
    #expect(
      identities.principal(names: ["x", "b.example", "spiffe://a/b"])
        == Principal(.certificate("b.example"), scopes: [.read, .agent]))
    for names in [[], ["B.example"], ["*.example"], ["b.example "], ["example"]] {
      #expect(identities.principal(names: names) == nil, "\(names)")
    }
  }

  /// The digest of `abc` is that of FIPS 180-2, appendix B.1.
  @Test func aDigestIsThatOfSHA256() throws {
    let text = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    #expect(KeyDigest(of: "abc").text == text)
    #expect(KeyDigest(text: text) == KeyDigest(of: "abc"))
    #expect(KeyDigest(text: text.replacing("ba78", with: "BA78")) == KeyDigest(of: "abc"))
    for (offset, byte) in text.utf8.enumerated().dropFirst(7) {
      var changed = Array(text.utf8)
      changed[offset] = byte == UInt8(ascii: "0") ? UInt8(ascii: "1") : UInt8(ascii: "0")
      #expect(KeyDigest(text: String(decoding: changed, as: UTF8.self)) != KeyDigest(of: "abc"), "digit \(offset)")
    }
  }

  @Test(arguments: [
    "", "sha256:", "sha256:ab", "md5:900150983cd24fb0d6963f7d28e17f72", "sha256:\(String(repeating: "g", count: 64))",
    "sha256:\(String(repeating: "0", count: 65))",
  ])
  func otherTextsAreNoDigests(text: String) {
    #expect(KeyDigest(text: text) == nil)
  }
}
