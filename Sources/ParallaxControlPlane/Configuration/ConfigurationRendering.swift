extension NodeConfiguration {
  /// The values in force as a configuration file that reads back to them.
  /// - Parameter secretsHidden: Whether secrets are replaced by `***`.
  /// - Returns: YAML. Keys for which nothing is set and which have no default are left out.
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

  /// A text in double quotes, safe from YAML's escapes and from references.
  private static func quoted(_ text: String) -> String {
    let escaped = text.replacing("${", with: "$${").unicodeScalars.reduce(into: "") { result, scalar in
      switch scalar {
      case "\\": result += "\\\\"
      case "\"": result += "\\\""
      // An ampersand before a word would be taken for an anchor.
      case "&": result += "\\x26"
      default: result.unicodeScalars.append(scalar)
      }
    }
    return "\"\(escaped)\""
  }
}
