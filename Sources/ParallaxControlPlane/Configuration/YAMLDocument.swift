import ParallaxText
import Yams

/// A node of a YAML or JSON document: uninterpreted texts with their lines.
struct YAMLNode: Sendable {
  /// A member of a mapping.
  struct Member: Sendable {
    let key: String
    let line: Int
    let value: YAMLNode
  }

  enum Content: Sendable {
    /// A text; `isPlain` if it stands without quotes, so that it may be a number, a truth value or nothing.
    case scalar(String, isPlain: Bool)
    case sequence([YAMLNode])
    case mapping([Member])
  }

  let line: Int
  let content: Content

  /// Whether the node is an empty value, `~` or `null`.
  var isNull: Bool {
    guard case .scalar(let text, isPlain: true) = content else { return false }
    return ["", "~", "null", "Null", "NULL"].contains(text)
  }

  /// The kind of value, for an error.
  var kind: String {
    switch content {
    case .scalar: isNull ? "nothing" : "a single value"
    case .sequence: "a list"
    case .mapping: "a section"
    }
  }
}

/// Parses documents from untrusted sources.
enum YAMLReader {
  /// The largest accepted document, in bytes.
  static let sizeLimit = 256 << 10
  private static let depthLimit = 64

  /// Parses a document.
  /// - Parameters:
  ///   - text: The document.
  ///   - file: Its name, for errors.
  /// - Returns: The document's root; nil for an empty one.
  /// - Throws: The first syntax error, or all duplicate keys.
  static func read(_ text: String, file: String) throws(ConfigurationError) -> YAMLNode? {
    func fault(_ line: Int?, _ problem: String) -> ConfigurationError {
      ConfigurationError([ConfigurationFault(.file(file, line: line), key: "", .unreadable(problem))])
    }
    guard text.utf8.count <= sizeLimit else { throw fault(nil, "larger than \(ByteSize.text(sizeLimit))") }
    if let danger = danger(in: text) { throw fault(danger.line, danger.problem) }
    let root: Node?
    do {
      // The basic resolver keeps texts as they are: `version: 1.10` does not become a number.
      root = try Yams.compose(yaml: SurrogateEscapes.joined(text), .basic)
    } catch let error as YamlError {
      throw Self.error(error, file: file)
    } catch {
      throw fault(nil, "cannot be read as YAML")
    }
    guard let root else { return nil }
    var conversion = Conversion(file: file)
    let node = conversion.node(root, key: "", depth: 0)
    guard conversion.faults.isEmpty else { throw ConfigurationError(conversion.faults) }
    return node.isNull ? nil : node
  }

  /// Finds, before parsing, the features that make a document costlier than its size: anchors, which aliases multiply, and deep nesting.
  ///
  /// The scan ignores quotes, so that quoting cannot hide an anchor; a text like "R &D" is therefore refused.
  private static func danger(in text: String) -> (line: Int, problem: String)? {
    var line = 1
    var depth = 0
    var mayBeAnchor = false
    var previous: Unicode.Scalar = "\n"
    for scalar in text.unicodeScalars {
      if mayBeAnchor, !scalar.properties.isWhitespace {
        return (line, "anchors and aliases are not accepted; leave a space after the &, or none before it")
      }
      switch scalar {
      case "\n": line += 1
      case "[", "{": depth += 1
      case "]", "}": depth = max(0, depth - 1)
      default: break
      }
      if depth > depthLimit { return (line, "nested more than \(depthLimit) deep") }
      mayBeAnchor = scalar == "&" && (previous.properties.isWhitespace || "[{,:\u{FEFF}".unicodeScalars.contains(previous))
      previous = scalar
    }
    return nil
  }

  /// A parser's error with its line, but without the document's text, which may hold secrets.
  private static func error(_ error: YamlError, file: String) -> ConfigurationError {
    switch error {
    case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _), .composer(_, let problem, let mark, _):
      return ConfigurationError([ConfigurationFault(.file(file, line: mark.line), key: "", .unreadable("not valid YAML: \(problem)"))])
    case .reader(let problem, let offset, _, let yaml):
      let line = offset.map { 1 + yaml.utf8.prefix($0).count { $0 == UInt8(ascii: "\n") } }
      return ConfigurationError([ConfigurationFault(.file(file, line: line), key: "", .unreadable("not valid YAML: \(problem)"))])
    case .duplicatedKeysInMapping(let keys, let context):
      // The parser marks one key where it stands for the first time.
      return ConfigurationError(
        keys.map { key in
          let line = RepeatedKey(key, line: context.mark.line, column: context.mark.column).repetition(in: context.text)
          return ConfigurationFault(.file(file, line: line ?? context.mark.line), key: key, .duplicateKey)
        })
    default:
      return ConfigurationError([ConfigurationFault(.file(file, line: nil), key: "", .unreadable("not valid YAML"))])
    }
  }

  private struct Conversion {
    let file: String
    var faults: [ConfigurationFault] = []

    mutating func node(_ node: Node, key: String, depth: Int) -> YAMLNode {
      let line = node.mark?.line ?? 1
      guard depth <= depthLimit else {
        faults.append(ConfigurationFault(.file(file, line: line), key: key, .unreadable("nested more than \(depthLimit) deep")))
        return YAMLNode(line: line, content: .sequence([]))
      }
      switch node {
      case .scalar(let scalar):
        return YAMLNode(line: line, content: .scalar(scalar.string, isPlain: scalar.style == .plain))
      case .sequence(let sequence):
        return YAMLNode(line: line, content: .sequence(sequence.map { self.node($0, key: key, depth: depth + 1) }))
      case .mapping(let mapping):
        return YAMLNode(line: line, content: .mapping(members(mapping, key: key, depth: depth)))
      case .alias:
        // `danger(in:)` has refused every anchor, and the parser refuses an alias without one.
        preconditionFailure("An alias in a document without anchors")
      }
    }

    private mutating func members(_ mapping: Node.Mapping, key: String, depth: Int) -> [YAMLNode.Member] {
      var seen: Set<String> = []
      return mapping.compactMap { name, value in
        let line = name.mark?.line ?? 1
        guard case .scalar(let scalar) = name else {
          faults.append(ConfigurationFault(.file(file, line: line), key: key, .unreadable("a key must be a single word")))
          return nil
        }
        let path = key.isEmpty ? scalar.string : "\(key).\(scalar.string)"
        guard seen.insert(scalar.string).inserted else {
          faults.append(ConfigurationFault(.file(file, line: line), key: path, .duplicateKey))
          return nil
        }
        return YAMLNode.Member(key: scalar.string, line: line, value: node(value, key: path, depth: depth + 1))
      }
    }
  }
}

/// Joins the two escapes by which JSON writes a character beyond U+FFFF: YAML refuses them.
private enum SurrogateEscapes {
  static func joined(_ text: String) -> String {
    guard text.contains("\\ud") || text.contains("\\uD") else { return text }
    return text.replacing(/(\\\\)|\\u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})/) { match in
      guard let high = match.2.flatMap({ UInt32($0, radix: 16) }), let low = match.3.flatMap({ UInt32($0, radix: 16) }) else {
        return String(match.0)
      }
      let scalar = 0x10000 + (high - 0xD800) << 10 + (low - 0xDC00)
      return "\\U" + Hexadecimal.text(of: scalar)
    }
  }
}
