import Foundation
package import ParallaxAPI

/// Reads pattern documents, YAML or JSON, from files of a folder and from request bodies.
package enum PatternFile {
  /// Decodes one document, bare or wrapped as `{name, version, description, definition}`.
  /// - Parameters:
  ///   - text: The document.
  ///   - file: Its name, for errors.
  /// - Returns: A valid definition.
  /// - Throws: All faults of the document, each with its line and key.
  package static func decode(_ text: String, file: String) throws(ConfigurationError) -> PatternDefinition {
    guard let root = try YAMLReader.read(text, file: file) else {
      throw ConfigurationError([ConfigurationFault(.file(file, line: nil), key: "", .unreadable("the document is empty"))])
    }
    var reader = PatternReader(file: file)
    let pattern = reader.pattern(root)
    guard let pattern, reader.faults.isEmpty else { throw ConfigurationError(reader.faults) }
    return pattern
  }

  /// Decodes the `.yaml`, `.yml` and `.json` files of a folder, ordered by name; subfolders and hidden files are left out.
  /// - Parameter path: The folder.
  /// - Returns: The patterns.
  /// - Throws: The faults of all files at once; two definitions of one version of a pattern are a fault too.
  package static func load(directory path: String) throws(ConfigurationError) -> [PatternDefinition] {
    var patterns: [PatternDefinition] = []
    var faults: [ConfigurationFault] = []
    var origins: [String: String] = [:]
    for file in try names(in: path).map({ "\(path)/\($0)" }) {
      do {
        let pattern = try decode(try text(of: file), file: file)
        let identity = "\(pattern.name) \(pattern.version)"
        if let origin = origins.updateValue(file, forKey: identity) {
          faults.append(ConfigurationFault(.file(file, line: nil), key: "name", .unreadable("\(origin) defines \(identity) too")))
        }
        patterns.append(pattern)
      } catch {
        faults += error.faults
      }
    }
    guard faults.isEmpty else { throw ConfigurationError(faults) }
    return patterns
  }

  private static func names(in path: String) throws(ConfigurationError) -> [String] {
    do {
      return try FileManager.default.contentsOfDirectory(atPath: path)
        .filter { name in !name.hasPrefix(".") && [".yaml", ".yml", ".json"].contains { name.hasSuffix($0) } }
        .sorted()
    } catch {
      throw ConfigurationError([
        ConfigurationFault(.file(path, line: nil), key: "patterns.directory", .unreadable("the folder cannot be read"))
      ])
    }
  }

  private static func text(of file: String) throws(ConfigurationError) -> String {
    do throws(FileProblem) {
      return try ConfigurationFiles.text(of: file)
    } catch {
      throw ConfigurationError([ConfigurationFault(.file(file, line: nil), key: "", .unreadable("the file \(error)"))])
    }
  }
}
