import Foundation
import ParallaxAPI

/// Prints results in the form that the options and the terminal require.
struct Printer {
  var format: OutputFormat
  var colored: Bool

  init(_ format: OutputFormat) {
    self.init(format, isTerminal: isatty(STDOUT_FILENO) == 1, environment: ProcessInfo.processInfo.environment)
  }

  /// Color is for terminals that support it and users who have not disabled it (https://no-color.org).
  init(_ format: OutputFormat, isTerminal: Bool, environment: [String: String]) {
    self.format = format
    colored = isTerminal && (environment["NO_COLOR"] ?? "").isEmpty && environment["TERM"] != "dumb"
  }

  /// Prints a node's answer: unchanged as JSON, or as the tables of its document.
  func show<Document: Decodable>(_ answer: Data, as type: Document.Type = Document.self, _ tables: (Document) -> [Table]) throws {
    switch format {
    case .json: print(try Self.indented(answer))
    case .table: print(text(of: tables(try Self.decode(answer))))
    }
  }

  func text(of tables: [Table]) -> String {
    tables.map { $0.lines(colored: colored).joined(separator: "\n") }.joined(separator: "\n\n")
  }

  /// Decodes a node's answer.
  static func decode<Document: Decodable>(_ answer: Data, as type: Document.Type = Document.self) throws -> Document {
    do {
      return try JSON.decode(type, from: answer, depthLimit: JSON.documentDepthLimit)
    } catch {
      throw CommandFailure(
        .failed,
        "the node's answer cannot be decoded; the node may have another version: \(APIError(decoding: error, of: "answer").message)")
    }
  }

  private static func indented(_ answer: Data) throws -> String { try indented(decode(answer, as: JSONValue.self)) }

  /// A document as JSON on several lines.
  static func indented(_ document: some Encodable) throws -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    return String(decoding: try encoder.encode(document), as: UTF8.self)
  }
}
