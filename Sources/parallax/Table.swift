/// Rows in aligned columns, separated by two spaces and without ruled lines, so that other tools can split them.
struct Table {
  /// A value and its style on a terminal.
  struct Cell: ExpressibleByStringInterpolation {
    var text: String
    var style: Style?

    init(_ text: String, style: Style? = nil) {
      self.text = text.printable
      self.style = style
    }

    init(stringLiteral value: String) { self.init(value) }
  }

  var titles: [String]
  var rows: [[Cell]]

  init(_ titles: String..., rows: [[Cell]]) {
    self.titles = titles
    self.rows = rows
  }

  /// The lines, without white space at their ends.
  func lines(colored: Bool) -> [String] {
    let header = titles.map { Cell($0, style: .title) }
    let all = (titles.isEmpty ? [] : [header]) + rows
    let columns = all.map(\.count).max() ?? 0
    let widths = (0..<columns).map { column in all.compactMap { $0.indices.contains(column) ? $0[column].text.count : nil }.max() ?? 0 }
    return all.map { row in
      row.enumerated().map { column, cell in
        let padding = column == row.count - 1 ? "" : String(repeating: " ", count: widths[column] - cell.text.count)
        let text = colored ? cell.style?.applied(to: cell.text) ?? cell.text : cell.text
        return text + padding
      }.joined(separator: "  ")
    }
  }
}

/// The style of a value on a terminal.
enum Style: String {
  case title = "1"
  case good = "32"
  case bad = "31"
  case waiting = "33"

  func applied(to text: String) -> String { "\u{1b}[\(rawValue)m\(text)\u{1b}[0m" }
}

extension String {
  /// The text with every control character replaced: names of other parties must not control the terminal.
  var printable: String {
    String(String.UnicodeScalarView(unicodeScalars.map { $0.properties.generalCategory == .control ? "\u{fffd}" : $0 }))
  }
}
