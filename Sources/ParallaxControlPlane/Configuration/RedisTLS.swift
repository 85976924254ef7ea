import NIOSSL

extension NodeConfiguration.Redis {
  /// The settings for TLS, from the files that are named; nil without TLS.
  ///
  /// - Throws: ``ConfigurationError`` that names the file that cannot be used, and never its contents.
  func tlsConfiguration() throws(ConfigurationError) -> TLSConfiguration? {
    guard usesTLS else { return nil }
    var settings = TLSConfiguration.makeClientConfiguration()
    if let ca = tls.ca {
      settings.trustRoots = .certificates(
        try Self.read(ca, "redis.tls.ca", "certificates in PEM, of those who may vouch for the server") {
          try NIOSSLCertificate.fromPEMFile($0)
        })
    }
    if let certificate = tls.certificate, let privateKey = tls.privateKey {
      let chain = try Self.read(certificate, "redis.tls.certificate", "a certificate in PEM, and those that vouch for it") {
        try NIOSSLCertificate.fromPEMFile($0)
      }
      settings.certificateChain = chain.map { .certificate($0) }
      settings.privateKey = .privateKey(
        try Self.read(privateKey, "redis.tls.privateKey", "a private key in PEM, without a passphrase") {
          try NIOSSLPrivateKey(file: $0, format: .pem)
        })
    }
    return settings
  }

  private static func read<Value>(
    _ path: String, _ key: String, _ expected: String, _ body: (String) throws -> Value
  ) throws(ConfigurationError) -> Value {
    do {
      return try body(path)
    } catch {
      throw ConfigurationError([
        ConfigurationFault(.file(path, line: nil), key: key, .unreadable("the file cannot be read as \(expected)"))
      ])
    }
  }
}
