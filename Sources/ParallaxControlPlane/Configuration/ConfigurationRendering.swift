extension NodeConfiguration {
  /// Renders the values in force as a configuration file.
  /// - Parameter secretsHidden: Whether `***` replaces secrets; `true` by default. Only with `false` does the file read back to the same
  ///   values.
  /// - Returns: YAML, without the keys that have neither a value nor a default.
  package func render(secretsHidden: Bool = true) -> String {
    var lines: [String] = []
    var open: [String] = []
    for key in ConfigurationKeys.all {
      guard let text = key.shownText(of: self, secretsHidden: secretsHidden) else { continue }
      let sections = key.sections
      let shared = zip(open, sections).prefix { $0 == $1 }.count
      for (depth, section) in sections.enumerated().dropFirst(shared) { lines.append(Self.indent(depth) + section + ":") }
      open = sections
      lines.append("\(Self.indent(sections.count))\(key.path.split(separator: ".").last ?? ""): \(text.yaml)")
    }
    return lines.joined(separator: "\n") + "\n"
  }

  private static func indent(_ depth: Int) -> String { String(repeating: "  ", count: depth) }
}

extension ConfigurationKey {
  fileprivate func shownText(of configuration: NodeConfiguration, secretsHidden: Bool) -> ConfigurationText? {
    guard secretsHidden else { return text(configuration) }
    switch secrecy {
    case .open: return text(configuration)
    case .secret: return text(configuration).map { _ in .quoted("***") }
    case .keys: return APIKeyText.text(configuration.security.authentication.apiKeys, secretsHidden: true)
    case .url: return configuration.redis.url.map { .quoted($0.text(secretsHidden: true)) }
    }
  }
}

extension ConfigurationText {
  fileprivate var yaml: String {
    switch self {
    case .plain(let text): text
    case .quoted(let text): Self.quoted(text)
    case .list(let elements): "[\(elements.map(Self.quoted).joined(separator: ", "))]"
    }
  }

  /// The text in double quotes, with YAML escapes and references escaped.
  private static func quoted(_ text: String) -> String {
    let escaped = text.replacing("${", with: "$${").unicodeScalars.reduce(into: "") { result, scalar in
      switch scalar {
      case "\\": result += "\\\\"
      case "\"": result += "\\\""
      // The reader takes an ampersand before a word for an anchor.
      case "&": result += "\\x26"
      default: result.unicodeScalars.append(scalar)
      }
    }
    return "\"\(escaped)\""
  }
}
