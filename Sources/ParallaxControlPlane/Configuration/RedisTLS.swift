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
        try Self.read(ca, "redis.tls.ca", "PEM certificates of the authorities that may sign the server's certificate") {
          try NIOSSLCertificate.fromPEMFile($0)
        })
    }
    if let certificate = tls.certificate, let privateKey = tls.privateKey {
      let chain = try Self.read(certificate, "redis.tls.certificate", "a PEM certificate, followed by its intermediate certificates") {
        try NIOSSLCertificate.fromPEMFile($0)
      }
      settings.certificateChain = chain.map { .certificate($0) }
      settings.privateKey = .privateKey(
        try Self.read(privateKey, "redis.tls.privateKey", "a PEM private key without a passphrase") {
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
