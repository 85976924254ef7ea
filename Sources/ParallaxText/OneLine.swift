/// Shows foreign text as a part of one line, as in a log.
package enum OneLine {
  /// The text with each scalar escaped that could end the line, hide, or reorder what surrounds it.
  ///
  /// - Parameters:
  ///   - text: The text.
  ///   - isQuoted: Whether the text will stand in quotes, so that quotes and backslashes are escaped too; false by default.
  /// - Returns: The text on one line.
  package static func escaping(_ text: some StringProtocol, isQuoted: Bool = false) -> String {
    text.unicodeScalars.reduce(into: "") { shown, scalar in
      switch scalar.properties.generalCategory {
      case _ where isQuoted && (scalar == "\"" || scalar == "\\"): shown += "\\\(scalar)"
      case .control, .format, .lineSeparator, .paragraphSeparator, .unassigned, .privateUse: shown += scalar.escaped(asASCII: true)
      default: shown.unicodeScalars.append(scalar)
      }
    }
  }

  /// The first scalars of the text, escaped, with a mark if there are more.
  package static func excerpt(of text: String, _ limit: Int) -> String {
    let scalars = text.unicodeScalars
    guard let end = scalars.index(scalars.startIndex, offsetBy: limit, limitedBy: scalars.endIndex), end < scalars.endIndex else {
      return escaping(text)
    }
    return escaping(text[..<end]) + "…"
  }
}
