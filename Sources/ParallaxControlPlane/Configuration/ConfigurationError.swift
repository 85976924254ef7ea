/// All that is wrong with a configuration or with pattern files.
package struct ConfigurationError: Error, Sendable, Equatable, CustomStringConvertible {
  package let faults: [ConfigurationFault]

  package init(_ faults: [ConfigurationFault]) {
    self.faults = faults
  }

  /// A line for each fault; of very many only the first, and how many there are besides.
  package var description: String {
    let limit = 100
    let lines = faults.prefix(limit).map(\.description)
    return (faults.count > limit ? lines + ["and \(faults.count - limit) more"] : lines).joined(separator: "\n")
  }
}

/// One thing that is wrong: where it stands, which key it is about, and what would be right.
///
/// Never contains a secret's value.
package struct ConfigurationFault: Sendable, Equatable, CustomStringConvertible {
  /// Where a value was set.
  package enum Location: Sendable, Equatable, CustomStringConvertible {
    case file(String, line: Int?)
    case environment(String)
    case flag(String)
    /// The system itself, such as its host name.
    case system(String)

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

  /// What is wrong.
  package enum Problem: Sendable, Equatable {
    case unknownKey(nearest: String?)
    case unsupportedKey
    case duplicateKey
    /// `found` is nil where it must not be shown.
    case invalidValue(found: String?, expected: String)
    /// A value that is accepted by itself breaks a rule, mostly together with another.
    case brokenRule(String)
    /// A text or a file that cannot be read at all.
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
    case .unsupportedKey: return "\(location): \(subject)not supported by this version"
    case .duplicateKey: return "\(location): \(subject)given a second time"
    case .invalidValue(let found?, let expected): return "\(location): \(subject)found \(found), expected \(expected)"
    case .invalidValue(nil, let expected): return "\(location): \(subject)expected \(expected)"
    case .brokenRule(let text), .unreadable(let text): return "\(location): \(subject)\(text)"
    }
  }
}

/// What is shown of a value that was found.
enum FoundText {
  private static let limit = 80

  /// The value in quotes, on one line, cut where it gets long.
  static func quoted(_ value: String) -> String { "\"\(inOneLine(value))\"" }

  /// The text without anything that breaks the line or moves a terminal's cursor, cut where it gets long.
  static func inOneLine(_ text: String) -> String {
    let shown = text.unicodeScalars.prefix(limit).reduce(into: "") { result, scalar in
      result += scalar.properties.generalCategory == .control ? scalar.escaped(asASCII: true) : String(scalar)
    }
    return shown + (text.unicodeScalars.count > limit ? "…" : "")
  }
}
