/// The escaping rules of the exposition formats.
enum Escaping {
  /// OpenMetrics escapes quotes in help texts too; the text format forbids that.
  static func help(_ text: String, _ format: ExpositionFormat) -> String {
    escaped(text, quotes: format == .openMetrics)
  }

  static func labelValue(_ text: String) -> String {
    escaped(text, quotes: true)
  }

  private static func escaped(_ text: String, quotes: Bool) -> String {
    var result = ""
    result.reserveCapacity(text.utf8.count)
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\\": result += "\\\\"
      case "\n": result += "\\n"
      case "\"" where quotes: result += "\\\""
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result
  }
}

/// The labels of one series, formatted once, so that a scrape only copies bytes.
struct LabelBytes: Sendable {
  /// `a="x",b="y"`, without braces.
  private let pairs: String

  init(names: [String], values: [String]) {
    pairs = zip(names, values).map { "\($0)=\"\(Escaping.labelValue($1))\"" }.joined(separator: ",")
  }

  /// The beginning of a sample line: the name, the labels in braces if there are any, a space.
  func line(_ name: String) -> [UInt8] {
    Array((pairs.isEmpty ? "\(name) " : "\(name){\(pairs)} ").utf8)
  }

  /// As `line(_:)`, with the metric type's own label at the end.
  func line(_ name: String, _ label: String, _ value: String) -> [UInt8] {
    Array("\(name){\(pairs)\(pairs.isEmpty ? "" : ",")\(label)=\"\(value)\"} ".utf8)
  }
}
