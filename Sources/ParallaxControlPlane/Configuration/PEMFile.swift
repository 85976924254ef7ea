/// Reads the files of certificates and keys.
enum PEMFile {
  static let chain = "a PEM certificate, followed by its intermediate certificates"
  static let privateKey = "a PEM private key without a passphrase"

  /// Reads a file.
  ///
  /// - Throws: ``ConfigurationError`` that names the file and its key, without the contents.
  static func read<Value>(
    _ path: String, _ key: String, _ expected: String, _ body: (String) throws -> Value
  ) throws(ConfigurationError) -> Value {
    do {
      return try body(path)
    } catch {
      throw ConfigurationError([
        ConfigurationFault(.file(path, line: nil), key: key, .unreadable("the file \(FileProblem(of: path, expected: expected))"))
      ])
    }
  }
}
