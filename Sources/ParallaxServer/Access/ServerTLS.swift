package import NIOSSL
package import ParallaxAPI
import Synchronization

/// TLS of the server: its certificate, which can be replaced while the server runs, and what clients with certificates may do.
package final class ServerTLS: Sendable {
  /// The identities in clients' certificates that have scopes.
  package let identities: ClientIdentities
  private let context: Mutex<NIOSSLContext>

  /// - Throws: The error of an unusable certificate or key.
  package init(_ configuration: TLSConfiguration, identities: ClientIdentities = ClientIdentities()) throws {
    context = Mutex(try NIOSSLContext(configuration: configuration))
    self.identities = identities
  }

  /// Uses other certificates for further connections; those that are open keep theirs.
  ///
  /// - Throws: The error of an unusable certificate or key, which changes nothing.
  package func replace(_ configuration: TLSConfiguration) throws {
    let next = try NIOSSLContext(configuration: configuration)
    context.withLock { $0 = next }
  }

  /// The handler of one connection.
  func makeHandler() -> NIOSSLServerHandler {
    NIOSSLServerHandler(context: context.withLock { $0 })
  }
}

/// What the holders of clients' certificates may do, by the names in them.
package struct ClientIdentities: Sendable, Hashable {
  private let scopes: [String: Set<AccessScope>]

  /// `scopes` are those of each subject alternative name: a DNS name, a URI or an email address.
  package init(_ scopes: [String: Set<AccessScope>] = [:]) {
    self.scopes = scopes
  }

  package var isEmpty: Bool { scopes.isEmpty }

  /// The principal with the names of a certificate, with all their scopes; nil if none of them has any.
  func principal(names: [String]) -> Principal? {
    let known = names.filter { scopes[$0] != nil }
    guard let first = known.first else { return nil }
    return Principal(.certificate(first), scopes: known.reduce(into: []) { $0.formUnion(scopes[$1] ?? []) })
  }
}

/// What a client's certificate grants, for as long as it is valid: a connection, or a TLS session that is resumed, may outlast it.
struct ClientCertificate: Sendable {
  let principal: Principal
  /// The end of the certificate's validity.
  let expiry: Timestamp

  /// The principal, unless the certificate has expired.
  func principal(at now: Timestamp) -> Principal? { now < expiry ? principal : nil }
}

extension NIOSSLCertificate {
  /// The DNS names, URIs and email addresses among the subject alternative names.
  var clientNames: [String] {
    _subjectAlternativeNames().compactMap { name in
      guard [.dnsName, .uri, .email].contains(name.nameType) else { return nil }
      return name.contents.withUnsafeBufferPointer { String(decoding: $0, as: UTF8.self) }
    }
  }
}
