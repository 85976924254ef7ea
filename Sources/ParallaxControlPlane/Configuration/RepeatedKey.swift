/// Finds the line at which a key of a YAML mapping stands for the second time, given the place of a key of that mapping.
struct RepeatedKey {
  private let key: String
  private let line: Int
  private let column: Int

  /// - Parameters:
  ///   - key: The repeated key.
  ///   - line: The line of any key of the mapping, from 1.
  ///   - column: Its column, from 1.
  init(_ key: String, line: Int, column: Int) {
    self.key = key
    self.line = line
    self.column = column
  }

  /// The line of the repetition, from 1; nil if it cannot be found.
  func repetition(in text: String) -> Int? {
    let lines = text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline)
    guard lines.indices.contains(line - 1) else { return nil }
    let block = blockLines(of: lines).filter { isKey(lines[$0].dropFirst(column - 1)) }
    if block.count > 1 { return block[1] + 1 }
    // In braces the keys have no column of their own.
    let inBraces = lines[(line - 1)...].indices.flatMap { index in Array(repeating: index, count: occurrences(in: lines[index])) }
    return inBraces.count > 1 ? inBraces[1] + 1 : nil
  }

  /// The lines of the block mapping, by index: those around the given one that are not indented less.
  private func blockLines(of lines: [Substring]) -> [Int] {
    var first = line - 1
    // The line with the dash is the first of its mapping.
    while first > 0, startsBefore(lines[first]) != true {
      if startsBefore(lines[first - 1]) == true, !startsItem(lines[first - 1]) { break }
      first -= 1
    }
    let end = lines[line...].firstIndex { startsBefore($0) == true } ?? lines.count
    return Array(first..<end)
  }

  /// Whether a line has text before the column; nil for an empty line or a comment.
  private func startsBefore(_ line: Substring) -> Bool? {
    guard let start = line.firstIndex(where: { $0 != " " }), line[start] != "#" else { return nil }
    return line.distance(from: line.startIndex, to: start) < column - 1
  }

  /// Whether a line is the first of a list's element whose keys stand in the column.
  private func startsItem(_ line: Substring) -> Bool {
    line.prefix(column - 1).allSatisfy { $0 == " " || $0 == "-" } && line.count >= column
  }

  private func isKey(_ text: Substring) -> Bool {
    ["\(key)", "\"\(key)\"", "'\(key)'"].contains { form in
      text.hasPrefix(form) && text.dropFirst(form.count).first { $0 != " " } == ":"
    }
  }

  private func occurrences(in line: Substring) -> Int {
    line.indices.count { index in
      guard index > line.startIndex else { return isKey(line[index...]) }
      let before = line[line.index(before: index)]
      return " {,[".contains(before) && isKey(line[index...])
    }
  }
}
