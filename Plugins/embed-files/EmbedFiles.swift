import Foundation

/// Writes text files into a Swift source, for the build plugin `EmbedFiles`.
///
/// The arguments are the path of the source, then those of the files.
@main
enum EmbedFiles {
  struct Failure: Error, CustomStringConvertible {
    let description: String
  }

  static func main() throws {
    guard let output = CommandLine.arguments.dropFirst().first else { throw Failure(description: "usage: embed-files OUTPUT FILE…") }
    let files = try CommandLine.arguments.dropFirst(2).map { try literal(of: $0) }
    let source = """
      /// Text files of this target, by name.
      enum EmbeddedFiles {
        static let all: [(name: String, content: StaticString)] = [
      \(files.joined(separator: ",\n"))
        ]
      }

      """
    try Data(source.utf8).write(to: URL(filePath: output))
  }

  /// The name and the text of a file, as a tuple of literals.
  private static func literal(of path: String) throws -> String {
    let name = URL(filePath: path).lastPathComponent
    guard let text = String(data: try Data(contentsOf: URL(filePath: path)), encoding: .utf8) else {
      throw Failure(description: "\(path): expected a text in UTF-8")
    }
    guard !text.utf8.contains(UInt8(ascii: "\r")), text.utf8.last == UInt8(ascii: "\n") else {
      throw Failure(description: "\(path): expected lines that end with a line feed")
    }
    // The delimiters are longer than any in the text, in which no escape counts.
    let longest = text.split(whereSeparator: { $0 != "#" }).map(\.count).max() ?? 0
    let marks = String(repeating: "#", count: longest + 1)
    return "(name: \"\(name)\", content: \(marks)\"\"\"\n\(text)\n\"\"\"\(marks))"
  }
}
