import ParallaxText

/// All faults of a configuration or of pattern files.
package struct ConfigurationError: Error, Sendable, Equatable, CustomStringConvertible {
  package let faults: [ConfigurationFault]

  package init(_ faults: [ConfigurationFault]) {
    self.faults = faults
  }

  /// One line for each of the first 100 faults, and the number of the others.
  package var description: String {
    let limit = 100
    let lines = faults.prefix(limit).map(\.description)
    return (faults.count > limit ? lines + ["and \(faults.count - limit) more"] : lines).joined(separator: "\n")
  }
}

/// One fault: its location, its key, and what would be right.
///
/// A fault never contains the value of a secret.
package struct ConfigurationFault: Sendable, Equatable, CustomStringConvertible {
  /// The source of a value.
  package enum Location: Sendable, Equatable, CustomStringConvertible {
    case file(String, line: Int?)
    case environment(String)
    case flag(String)
    /// The system itself, such as its host name.
    case system(String)

    /// The path of a file; empty for other sources.
    var path: String {
      if case .file(let path, _) = self { path } else { "" }
    }

    package var description: String {
      switch self {
      case .file(let path, let line?): "\(path):\(line)"
      case .file(let path, nil): path
      case .environment(let name): "environment variable \(name)"
      case .flag(let name): "flag \(name)"
      case .system(let what): what
      }
    }
  }

  /// The kind of fault.
  package enum Problem: Sendable, Equatable {
    case unknownKey(nearest: String?)
    case duplicateKey
    /// A variable of the environment that nothing reads, and that is spelled almost like another.
    case unknownVariable(nearest: String)
    /// A value that the key does not accept; `found` is nil for a secret.
    case invalidValue(found: String?, expected: String)
    /// A valid value that breaks a rule, mostly a relation to another value.
    case brokenRule(String)
    /// A text or file that cannot be read.
    case unreadable(String)
  }

  package let location: Location
  /// The key's path, such as `server.port`; empty for the document as a whole.
  package let key: String
  package let problem: Problem

  package init(_ location: Location, key: String, _ problem: Problem) {
    self.location = location
    self.key = key
    self.problem = problem
  }

  package var description: String {
    let subject = key.isEmpty ? "" : "\(FoundText.inOneLine(key)): "
    switch problem {
    case .unknownKey(let nearest?): return "\(location): \(subject)unknown key; did you mean \(nearest)?"
    case .unknownKey(nil): return "\(location): \(subject)unknown key"
    case .unknownVariable(let nearest): return "\(location): unknown; did you mean \(nearest)? Else give it another prefix than PARALLAX_"
    case .duplicateKey: return "\(location): \(subject)given a second time"
    case .invalidValue(let found?, let expected): return "\(location): \(subject)found \(found), expected \(expected)"
    case .invalidValue(nil, let expected): return "\(location): \(subject)expected \(expected)"
    case .brokenRule(let text), .unreadable(let text): return "\(location): \(subject)\(text)"
    }
  }
}

/// Makes found values safe to show in an error.
enum FoundText {
  private static let limit = 80

  /// The value in quotes, on one line, truncated after 80 characters.
  static func quoted(_ value: String) -> String { "\"\(inOneLine(value))\"" }

  /// The text with control characters escaped, truncated after 80 characters.
  static func inOneLine(_ text: String) -> String {
    OneLine.excerpt(of: text, limit)
  }
}
