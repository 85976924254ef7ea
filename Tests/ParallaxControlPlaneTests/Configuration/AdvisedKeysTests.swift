import Foundation
import TestSupport
import Testing

@testable import ParallaxControlPlane

/// Checks the keys and variables in the product's messages against the table of keys.
@Suite struct AdvisedKeysTests {
  /// The outermost sections of the configuration.
  private static let roots = Set(ConfigurationKeys.sections.compactMap { $0.split(separator: ".").first.map(String.init) })
  /// The fields of a pattern's section `agents`, which is not a section of the configuration.
  private static let patternFields: Set<String> = ["agents.capabilities", "agents.min", "agents.max"]
  /// The ids of the doctor's checks up to their first hyphen, some of which are like keys.
  private static let checks = Set(DiagnosisCheck.allCases.map { $0.rawValue.prefix { $0 != "-" } }.map(String.init))

  @Test func `Every message in the sources names keys that the configuration has`() throws {
    var named: Set<String> = []
    // The Redis client does not know the configuration: its dotted words are attributes of logs and traces.
    for file in try swiftFiles(in: "Sources")
    where !file.path.hasSuffix("ConfigurationKeys.swift") && !file.path.contains("/ParallaxRedis/") {
      for literal in StringLiterals.all(in: try String(contentsOf: file, encoding: .utf8)) {
        for key in keys(in: literal) where !Self.patternFields.contains(key) && !Self.checks.contains(key) {
          named.insert(key)
          #expect(Self.isKnown(key), "\(file.lastPathComponent) names \(key) in \"\(literal)\"")
        }
      }
    }
    #expect(named.isSuperset(of: ["security.allowUnauthenticated", "server.hosts", "server.allowedOrigins", "redis.url"]))
  }

  @Test func `Every message in the sources names environment variables that are read`() throws {
    let known = Set(ConfigurationKeys.all.compactMap(\.environment))
      .union(["PARALLAX_CONFIG", "PARALLAX_SERVER", "PARALLAX_API_KEY", "PARALLAX_CA", "PARALLAX_CERTIFICATE", "PARALLAX_PRIVATE_KEY"])
      // A witness sets it for the node inside it.
      .union(["PARALLAX_WITNESS_DESCRIPTOR"])
      // `parallax agent run` sets them for its command.
      .union(["PARALLAX_TASK_ID", "PARALLAX_EXECUTION_ID", "PARALLAX_PATTERN", "PARALLAX_CAPABILITY", "PARALLAX_TIMEOUT_MS"])
    for file in try swiftFiles(in: "Sources") {
      for literal in StringLiterals.all(in: try String(contentsOf: file, encoding: .utf8)) {
        for match in literal.matches(of: /PARALLAX_[A-Z_]+/) {
          #expect(known.contains(String(match.output)), "\(file.lastPathComponent) names \(match.output) in \"\(literal)\"")
        }
      }
    }
  }

  @Test func `Literals are found without their interpolations and without comments`() {
    let source = #"""
      let a = "one \(name("server.port")) two" // "not this"
      let b = #"raw "quoted" \n"#
      """#
    #expect(StringLiterals.all(in: source) == ["server.port", "one  two", #"raw "quoted" \n"#])
    #expect(keys(in: "set server.port: 1, not configuration.server.host, redis.call(x) or the server. Then go") == ["server.port"])
  }

  private static func isKnown(_ key: String) -> Bool {
    ConfigurationKeys.byPath[key] != nil
      || (ConfigurationKeys.sections.contains(key) && ConfigurationKeys.all.contains { $0.path.hasPrefix(key + ".") })
  }

  /// The dotted words that begin with a section of the configuration, without calls.
  private func keys(in literal: String) -> [String] {
    literal.matches(of: /(?:^|[^A-Za-z0-9_.\/])([a-z][A-Za-z]*(?:\.[a-z][A-Za-z]*)+)(?![A-Za-z0-9_(])/).compactMap { match in
      let key = String(match.1)
      return key.split(separator: ".").first.map { Self.roots.contains(String($0)) } == true ? key : nil
    }
  }

  private func swiftFiles(in folder: String) throws -> [URL] {
    let root = ProjectLayout.root.appending(path: folder)
    let files = FileManager.default.enumerator(at: root, includingPropertiesForKeys: nil)?.compactMap { $0 as? URL } ?? []
    try #require(!files.isEmpty)
    return files.filter { $0.pathExtension == "swift" }
  }
}

/// The string literals of a Swift source, without interpolations; literals inside interpolations are separate elements.
private struct StringLiterals {
  private static let quote = UInt8(ascii: "\"")
  private static let backslash = UInt8(ascii: "\\")

  private let source: [UInt8]
  private var position = 0
  private var literals: [String] = []

  static func all(in source: String) -> [String] {
    var scanner = StringLiterals(source: Array(source.utf8))
    scanner.scanCode(untilParenthesis: false)
    return scanner.literals
  }

  private init(source: [UInt8]) { self.source = source }

  private func has(_ bytes: [UInt8]) -> Bool { source[position...].starts(with: bytes) }

  /// Scans code up to the end, or to the parenthesis that ends an interpolation.
  private mutating func scanCode(untilParenthesis: Bool) {
    var depth = 0
    while position < source.count {
      switch source[position] {
      case UInt8(ascii: "/") where has(Array("//".utf8)):
        while position < source.count, source[position] != UInt8(ascii: "\n") { position += 1 }
        continue
      case Self.quote:
        scanLiteral(hashes: 0)
        continue
      case UInt8(ascii: "#"):
        let hashes = source[position...].prefix { $0 == UInt8(ascii: "#") }.count
        if position + hashes < source.count, source[position + hashes] == Self.quote {
          scanLiteral(hashes: hashes)
          continue
        }
      case UInt8(ascii: "("): depth += 1
      case UInt8(ascii: ")"):
        if untilParenthesis, depth == 0 { return }
        depth -= 1
      default: break
      }
      position += 1
    }
  }

  private mutating func scanLiteral(hashes: Int) {
    let marks = [UInt8](repeating: UInt8(ascii: "#"), count: hashes)
    let interpolation = [Self.backslash] + marks + [UInt8(ascii: "(")]
    position += hashes
    let quotes = [UInt8](repeating: Self.quote, count: has([Self.quote, Self.quote, Self.quote]) ? 3 : 1)
    position += quotes.count
    var text: [UInt8] = []
    while position < source.count {
      let byte = source[position]
      if byte == Self.quote, has(quotes + marks) { break }
      if byte == Self.backslash, has(interpolation) {
        position += interpolation.count
        scanCode(untilParenthesis: true)
        position += 1
      } else if byte == Self.backslash, has([byte] + marks) {
        let end = min(position + hashes + 2, source.count)
        text += source[position..<end]
        position = end
      } else {
        text.append(byte)
        position += 1
      }
    }
    position += quotes.count + hashes
    literals.append(String(decoding: text, as: UTF8.self))
  }
}
