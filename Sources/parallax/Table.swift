import ParallaxAPI

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

  private static let gap = 2
  /// No column is cut below this width, even if the terminal has no room.
  private static let narrowest = 8

  /// The lines, without white space at their ends.
  ///
  /// The widest columns are cut into `width`, the room of a terminal, unless it is nil. The first column, which identifies its row, never
  /// is.
  func lines(colored: Bool, width: Int? = nil) -> [String] {
    let header = titles.map { Cell($0, style: .title) }
    let all = (titles.isEmpty ? [] : [header]) + rows
    let columns = all.map(\.count).max() ?? 0
    var widths = (0..<columns).map { column in all.compactMap { $0.indices.contains(column) ? $0[column].text.count : nil }.max() ?? 0 }
    if let width { Self.fit(&widths, into: width) }
    return all.map { row in
      // Empty values at the end need no room.
      let count = (row.lastIndex { !$0.text.isEmpty } ?? -1) + 1
      return row.prefix(count).enumerated().map { column, cell in
        let shown = cell.text.count > widths[column] ? cell.text.prefix(widths[column] - 1) + "…" : cell.text[...]
        let padding = column == count - 1 ? "" : String(repeating: " ", count: widths[column] - shown.count)
        let text = colored ? cell.style?.applied(to: shown) ?? String(shown) : String(shown)
        return text + padding
      }.joined(separator: String(repeating: " ", count: Self.gap))
    }
  }

  /// Takes from the widest columns until all fit.
  private static func fit(_ widths: inout [Int], into room: Int) {
    var excess = widths.reduce(0, +) + gap * max(0, widths.count - 1) - room
    while excess > 0 {
      let others = widths.indices.dropFirst()
      guard let width = others.map({ widths[$0] }).max(), width > narrowest else { return }
      // Equal columns are cut alike, down to the next widest one.
      let widest = others.filter { widths[$0] == width }
      let next = others.map { widths[$0] }.filter { $0 < width }.max() ?? narrowest
      let cut = min((excess + widest.count - 1) / widest.count, width - max(narrowest, next))
      for column in widest { widths[column] -= cut }
      excess -= cut * widest.count
    }
  }
}

/// The style of a value on a terminal.
enum Style: String {
  case title = "1"
  case good = "32"
  case bad = "31"
  case waiting = "33"

  func applied(to text: some StringProtocol) -> String { "\u{1b}[\(rawValue)m\(text)\u{1b}[0m" }
}

extension Duration {
  /// The duration for a reader's eye, in one form at each size: `2ms`, `5.0s`, `1m30s`.
  var shortText: String {
    switch wholeMilliseconds {
    case ..<1_000: "\(max(0, wholeMilliseconds))ms"
    case ..<60_000: "\(wholeMilliseconds / 1_000).\(wholeMilliseconds % 1_000 / 100)s"
    default: Duration.seconds(wholeMilliseconds / 1_000).text
    }
  }
}

extension String {
  /// The text with every control character replaced: names of other parties must not control the terminal.
  var printable: String {
    String(String.UnicodeScalarView(unicodeScalars.map { $0.properties.generalCategory == .control ? "\u{fffd}" : $0 }))
  }
}
