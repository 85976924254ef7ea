import Foundation
import ParallaxAPI

/// Prints results in the form that the options and the terminal require.
struct Printer {
  var format: OutputFormat
  var terminal: Terminal

  init(_ format: OutputFormat, terminal: Terminal = .current) {
    self.format = format
    self.terminal = terminal
  }

  /// Prints a node's answer: unchanged as JSON, or as the tables of its document.
  func show<Document: Decodable>(_ answer: Data, as type: Document.Type = Document.self, _ tables: (Document) -> [Table]) throws {
    let text = try text(of: answer, as: type, tables)
    if !text.isEmpty { print(text) }
  }

  /// A node's answer as it is printed.
  func text<Document: Decodable>(
    of answer: Data, as type: Document.Type = Document.self, _ tables: (Document) -> [Table]
  ) throws -> String {
    switch format {
    case .json: try Self.indented(answer)
    case .table: text(of: tables(try Self.decode(answer)))
    }
  }

  func text(of tables: [Table]) -> String {
    tables.map { $0.lines(colored: terminal.isColored, width: terminal.columns).joined(separator: "\n") }.joined(separator: "\n\n")
  }

  /// Says something that is no result, so that standard output has results only.
  static func note(_ text: String) {
    FileHandle.standardError.write(Data((text + "\n").utf8))
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
