import NIOSSL

extension NodeConfiguration.Redis {
  /// Makes the TLS settings from the configured files; nil without TLS.
  ///
  /// - Throws: ``ConfigurationError`` that names an unusable file, without its contents.
  func tlsConfiguration() throws(ConfigurationError) -> TLSConfiguration? {
    guard usesTLS else { return nil }
    var settings = TLSConfiguration.makeClientConfiguration()
    if let ca = tls.ca {
      settings.trustRoots = .certificates(
        try PEMFile.read(ca, "redis.tls.ca", "PEM certificates of the authorities that may sign the server's certificate") {
          try NIOSSLCertificate.fromPEMFile($0)
        })
    }
    if let certificate = tls.certificate, let privateKey = tls.privateKey {
      let chain = try PEMFile.read(certificate, "redis.tls.certificate", PEMFile.chain) {
        try NIOSSLCertificate.fromPEMFile($0)
      }
      settings.certificateChain = chain.map { .certificate($0) }
      settings.privateKey = .privateKey(
        try PEMFile.read(privateKey, "redis.tls.privateKey", PEMFile.privateKey) {
          try NIOSSLPrivateKey(file: $0, format: .pem)
        })
    }
    return settings
  }
}
