import Foundation

/// Keys and certificates for tests of TLS, made by `openssl` in a temporary folder.
///
/// The certificates name 127.0.0.1, ::1 and localhost, unless stated otherwise.
package final class TestCertificates: Sendable {
  /// A certificate and its key, as paths of PEM files.
  package struct Identity: Sendable {
    package let certificate: String
    package let key: String
  }

  private let folder: URL

  /// The certificate of the authority that signed the valid certificates.
  package var authority: String { path("authority.pem") }
  /// The certificate of an authority that signed none of the valid certificates.
  package var wrongAuthority: String { path("wrong-authority.pem") }
  /// A valid server certificate.
  package var server: Identity { identity("server") }
  /// A valid client certificate.
  package var client: Identity { identity("client") }
  /// A server certificate that expired yesterday.
  package var expired: Identity { identity("expired") }
  /// A server certificate that names elsewhere.example only.
  package var otherHost: Identity { identity("other-host") }
  /// A certificate signed by the wrong authority.
  package var wrong: Identity { identity("wrong") }

  /// Makes all keys and certificates, in about a fifth of a second.
  ///
  /// - Throws: `ProcessFailure` if `openssl` is missing or fails.
  package init() async throws {
    let folder = FileManager.default.temporaryDirectory.appending(path: "certificates-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    self.folder = folder
    try await Self.openssl(Self.script, folder)
  }

  /// Makes a further valid certificate.
  ///
  /// - Parameters:
  ///   - name: The common name, which no other certificate has.
  ///   - names: The subject alternative names, as OpenSSL writes them, such as `URI:spiffe://example.org/ci`.
  /// - Returns: The certificate and its key.
  /// - Throws: `ProcessFailure` if `openssl` fails.
  package func issue(_ name: String, names: String) async throws -> Identity {
    try await Self.openssl(#"certificate "$1" authority "$2" -days 30"#, folder, name, names)
    return identity(name)
  }

  private static func openssl(_ script: String, _ folder: URL, _ arguments: String...) async throws {
    let outcome = try await run(URL(filePath: "/bin/sh"), ["-e", "-c", functions + "\n" + script, "sh", folder.path] + arguments)
    guard outcome.exit == .code(0) else { throw ProcessFailure("openssl: \(outcome.exit)\n\(outcome.errorOutput)") }
  }

  deinit { try? FileManager.default.removeItem(at: folder) }

  private func path(_ name: String) -> String { folder.appending(path: name).path }

  private func identity(_ name: String) -> Identity {
    Identity(certificate: path("\(name).pem"), key: path("\(name).key"))
  }

  private static let functions = #"""
    cd "$1"
    shift
    here=DNS:localhost,IP:127.0.0.1,IP:::1

    key() { openssl ecparam -name prime256v1 -genkey -noout -out "$1.key"; }

    authority() {
      key "$1"
      openssl req -x509 -new -key "$1.key" -days 30 -subj "/CN=$1" -addext keyUsage=critical,keyCertSign,cRLSign -out "$1.pem"
    }

    # Its name, who signs, whom it names, and how long it lasts.
    certificate() {
      name=$1 signer=$2 hosts=$3
      shift 3
      key "$name"
      openssl req -new -key "$name.key" -subj "/CN=$name" -out "$name.csr"
      printf 'basicConstraints=critical,CA:FALSE\nsubjectAltName=%s\n' "$hosts" >"$name.ext"
      openssl x509 -req -in "$name.csr" -CA "$signer.pem" -CAkey "$signer.key" -set_serial "0x$(openssl rand -hex 8)" \
        -extfile "$name.ext" -out "$name.pem" "$@"
    }
    """#

  private static let script = #"""
    authority authority
    authority wrong-authority
    certificate server authority "$here" -days 30
    certificate client authority "$here" -days 30
    certificate other-host authority DNS:elsewhere.example -days 30
    certificate wrong wrong-authority "$here" -days 30
    # Newer versions take dates, and no negative number of days.
    certificate expired authority "$here" -days -1 ||
      certificate expired authority "$here" -not_before 20200101000000Z -not_after 20200102000000Z
    """#
}
