import NIOSSL
import ParallaxServer

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// The files of the server's TLS.
struct ServerCertificates: Sendable, Equatable {
  /// A file, and the key of the configuration that names it.
  struct File: Sendable, Equatable {
    let path: String
    let key: String
  }

  let certificate: File
  let privateKey: File
  /// The authorities that sign clients' certificates; nil if clients need none.
  let clientCA: File?
  /// A client without a certificate is refused.
  let requiresClient: Bool

  /// The files of a configuration; nil without TLS.
  init?(_ configuration: NodeConfiguration) {
    let (tls, mtls) = (configuration.server.tls, configuration.security.mtls)
    let own = mtls.enabled && mtls.serverCert != nil
    guard let certificate = own ? mtls.serverCert : tls.certificate, let privateKey = own ? mtls.serverKey : tls.privateKey else {
      return nil
    }
    self.certificate = File(path: certificate, key: own ? "security.mtls.serverCert" : "server.tls.certificate")
    self.privateKey = File(path: privateKey, key: own ? "security.mtls.serverKey" : "server.tls.privateKey")
    clientCA = mtls.enabled ? mtls.clientCA.map { File(path: $0, key: "security.mtls.clientCA") } : nil
    requiresClient = mtls.clientAuth == .require
  }

  /// The contents of all files, by which a change is noticed; nil if one cannot be read.
  var contents: [Data]? {
    let paths = [certificate, privateKey, clientCA].compactMap { $0?.path }
    let contents = paths.compactMap { try? Data(contentsOf: URL(fileURLWithPath: $0)) }
    return contents.count == paths.count ? contents : nil
  }

  /// Makes the TLS settings from the files.
  ///
  /// - Throws: ``ConfigurationError`` that names an unusable file, without its contents.
  func settings() throws(ConfigurationError) -> TLSConfiguration {
    let chain = try PEMFile.read(certificate.path, certificate.key, PEMFile.chain) { try NIOSSLCertificate.fromPEMFile($0) }
    let key = try PEMFile.read(privateKey.path, privateKey.key, PEMFile.privateKey) { try NIOSSLPrivateKey(file: $0, format: .pem) }
    var settings = TLSConfiguration.makeServerConfiguration(
      certificateChain: chain.map { .certificate($0) }, privateKey: .privateKey(key))
    settings.minimumTLSVersion = .tlsv12
    settings.applicationProtocols = ["http/1.1"]
    if let clientCA {
      settings.trustRoots = .certificates(
        try PEMFile.read(clientCA.path, clientCA.key, "PEM certificates of the authorities that sign clients' certificates") {
          try NIOSSLCertificate.fromPEMFile($0)
        })
      settings.certificateVerification = requiresClient ? .noHostnameVerification : .optionalVerification
    }
    return settings
  }

  /// Makes the server's TLS.
  ///
  /// - Throws: ``ConfigurationError`` that names an unusable file, without its contents.
  func makeTLS(identities: ClientIdentities) throws(ConfigurationError) -> ServerTLS {
    let settings = try settings()
    return try PEMFile.read(privateKey.path, privateKey.key, "the private key of the certificate in \(certificate.path)") { _ in
      try ServerTLS(settings, identities: identities)
    }
  }
}

extension NodeConfiguration {
  /// Makes the server's TLS; nil without certificates.
  ///
  /// - Throws: ``ConfigurationError`` that names an unusable file, without its contents.
  func makeServerTLS() throws(ConfigurationError) -> ServerTLS? {
    guard let certificates = ServerCertificates(self) else { return nil }
    let identities = security.mtls.enabled ? security.mtls.identities : []
    return try certificates.makeTLS(
      identities: ClientIdentities(Dictionary(identities.map { ($0.name, $0.scopes) }) { $0.union($1) }))
  }
}
