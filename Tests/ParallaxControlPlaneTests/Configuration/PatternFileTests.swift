import Foundation
import ParallaxAPI
import ParallaxControlPlane
import Testing

private func faults(_ text: String) -> [String] {
  do {
    _ = try PatternFile.decode(text, file: "p.yaml")
    return []
  } catch {
    return error.faults.map(\.description)
  }
}

@Suite struct PatternFileTests {
  let classifier = PatternDefinition(
    name: "content-classifier", version: "1.0.0", description: "Classify a text",
    agents: AgentRequirement(capabilities: ["classification"], min: 3, max: 5),
    aggregation: Aggregation(strategy: .voting, method: .majority, field: "category"), timeout: .seconds(30), retries: 2)

  @Test func `A YAML document becomes a pattern`() throws {
    let text = """
      name: content-classifier
      version: 1.0.0
      description: Classify a text
      agents: { capabilities: [classification], min: 3, max: 5 }   # all capabilities must match
      aggregation: { strategy: voting, method: majority, field: category }
      timeout: 30s
      retries: 2
      """
    #expect(try PatternFile.decode(text, file: "p.yaml") == classifier)
  }

  @Test func `A JSON document becomes the same pattern`() throws {
    let text = """
      {
      \t"name": "content-classifier", "version": "1.0.0", "description": "Classify a text",
      \t"agents": {"capabilities": ["classification"], "min": 3, "max": 5},
      \t"aggregation": {"strategy": "voting", "method": "majority", "field": "category"},
      \t"timeout": 30000, "retries": 2
      }
      """
    #expect(try PatternFile.decode(text, file: "p.json") == classifier)
  }

  @Test func `The output of JSON encoders is accepted, escapes included`() throws {
    var pattern = classifier
    pattern.description = "a/b \"q\" \u{1F600} é\n\t\\ud83d\\ude00"
    let text = String(decoding: try JSONEncoder().encode(pattern), as: UTF8.self)
    #expect(try PatternFile.decode(text, file: "p.json") == pattern)
    let escaped = text.replacing("\u{1F600}", with: "\\uD83D\\ude00").replacing("é", with: "\\u00e9")
    #expect(try PatternFile.decode(escaped, file: "p.json") == pattern)
  }

  @Test func `Missing fields take their defaults`() throws {
    let pattern = try PatternFile.decode("name: a\nagents: { capabilities: [b] }\n", file: "p.yaml")
    #expect(pattern == PatternDefinition(name: "a", agents: AgentRequirement(capabilities: ["b"])))
    #expect(pattern.timeout == nil)
  }

  @Test func `A version that looks like a number keeps its text`() throws {
    #expect(try PatternFile.decode("name: a\nversion: 1.10\nagents: { capabilities: [b] }\n", file: "p.yaml").version == "1.10")
  }

  @Test func `The wrapped form is accepted, and the wrapper completes the definition`() throws {
    let text = """
      {"name": "a", "version": "2.0.0", "description": "d", "definition": {"name": "a", "agents": {"capabilities": ["b"]}}}
      """
    let pattern = try PatternFile.decode(text, file: "p.json")
    #expect(pattern == PatternDefinition(name: "a", version: "2.0.0", description: "d", agents: AgentRequirement(capabilities: ["b"])))
  }

  @Test func `A wrapper that contradicts its definition is refused`() {
    #expect(
      faults("name: a\ndefinition:\n  name: b\n  agents: { capabilities: [c] }\n") == [
        "p.yaml:3: definition.name: differs from name in line 1"
      ])
  }

  @Test func `All faults are reported at once, each with its line`() {
    let text = """
      nam: a
      agents:
        capabilities: classification
        min: "1"
        maximum: 3
      aggregation: { stratgy: voting, method: loudest }
      timeout: soon
      retries: 1.5
      """
    #expect(
      faults(text) == [
        "p.yaml:1: nam: unknown key; did you mean name?",
        "p.yaml:1: name: found nothing, expected a text",
        "p.yaml:5: agents.maximum: unknown key",
        "p.yaml:3: agents.capabilities: found a single value, expected a list of texts, such as [classification]",
        "p.yaml:4: agents.min: found \"1\", expected a whole number from 1 to 1000",
        "p.yaml:6: aggregation.stratgy: unknown key; did you mean aggregation.strategy?",
        "p.yaml:6: aggregation.strategy: found nothing, expected one of first, all, merge, voting, consensus",
        "p.yaml:6: aggregation.method: found \"loudest\", expected one of majority, weighted",
        "p.yaml:7: timeout: found \"soon\", expected a duration such as 30s or 1m30s, or a number of milliseconds",
        "p.yaml:8: retries: found \"1.5\", expected a whole number from 0 to 100",
      ])
  }

  @Test func `Violated rules are reported with the lines of the document`() {
    let text = """
      name: "a b"
      agents:
        capabilities: [ok, "not ok"]
        min: 5
        max: 3
      aggregation:
        strategy: first
        field: x
      """
    #expect(
      faults(text) == [
        "p.yaml:1: name: expected 1 to 128 letters, digits, '-', '_' or '.', found \"a b\"",
        "p.yaml:3: agents.capabilities[1]: expected 1 to 128 letters, digits, '-', '_', ':' or '.', found \"not ok\"",
        "p.yaml:5: agents.max: expected agents.min (5) to 1000, found 3",
        "p.yaml:8: aggregation.field: only voting and consensus compare a field, not first",
      ])
  }

  @Test(arguments: [
    "", "# only a comment\n", "[]", "text", "name: [a]\nagents: {capabilities: [b]}", "? [a]\n: b", "a: 1\n---\nb: 2", "\u{0}",
    "name: \u{7}",
  ])
  func `A document that is not a pattern is refused`(text: String) {
    #expect(!faults(text).isEmpty)
  }

  @Test func `A control character is refused with its line`() {
    #expect(faults("name: a\ndescription: \u{1}\n") == ["p.yaml:2: not valid YAML: control characters are not allowed"])
  }

  @Test(arguments: ["a: &x [1]\nb: *x", "a: !!seq &x [1]", "{\"a\":&x [1]}", "- &x 1", "\n&x a: 1", "[&x 1]", "a: ! &x 1", "--- &x\na: 1"])
  func `Anchors are refused before they can multiply`(text: String) {
    #expect(faults(text).first?.hasSuffix("anchors and aliases are not accepted; leave a space after the &, or none before it") == true)
  }

  @Test(arguments: ["salt & pepper", "a&b", "\"&a\"", "'x?a=1&b=2'"])
  func `An ampersand in a text is not an anchor`(description: String) {
    #expect(faults("name: a\ndescription: \(description)\nagents: { capabilities: [b] }\n").isEmpty)
  }

  @Test(
    arguments: [
      String(repeating: "[", count: 100_000), String(repeating: "{a: ", count: 100_000), String(repeating: "- ", count: 900) + "x",
      String(repeating: "? ", count: 900) + "x", String(repeating: "- ", count: 100_000) + "x",
      (0..<900).map { String(repeating: " ", count: $0) + "a:\n" }.joined(), String(repeating: "a", count: 300_000),
      "name: " + String(repeating: "\"", count: 200_000), String(repeating: "a: 1\n", count: 20_000),
    ])
  func `A hostile document is refused quickly`(text: String) {
    #expect(faults(text).first?.utf8.count ?? 0 > 0)
  }
}

@Suite struct PatternDirectoryTests {
  @Test func `All files of a folder are loaded by name`() throws {
    try withFolder([
      "b.yaml": "name: b\nagents: {capabilities: [x]}", "a.json": #"{"name":"a","agents":{"capabilities":["x"]}}"#, "c.txt": "?",
      ".d.yaml": "?",
    ]) { folder in
      let patterns = try PatternFile.load(directory: folder)
      #expect(patterns.map(\.name) == ["a", "b"])
    }
  }

  @Test func `The faults of all files are reported at once`() throws {
    try withFolder(["a.yaml": "nam: a\nagents: {capabilities: [x]}", "b.yaml": "name: b\nagents: {capabilities: [x]}", "c.yml": "["]) {
      folder in
      let error = #expect(throws: ConfigurationError.self) { try PatternFile.load(directory: folder) }
      let lines = error?.faults.map(\.description) ?? []
      #expect(lines.count == 3)
      #expect(lines.first == "\(folder)/a.yaml:1: nam: unknown key; did you mean name?")
      #expect(lines.last?.hasPrefix("\(folder)/c.yml:") == true)
    }
  }

  @Test func `One version of a pattern in two files is refused`() throws {
    let text = "name: a\nagents: {capabilities: [x]}"
    try withFolder(["a.yaml": text, "b.yaml": text, "c.yaml": text + "\nversion: 2.0.0"]) { folder in
      let error = #expect(throws: ConfigurationError.self) { try PatternFile.load(directory: folder) }
      #expect(error?.description == "\(folder)/b.yaml: name: \(folder)/a.yaml defines a 1.0.0 too")
    }
  }

  @Test func `A folder with the name of a pattern file, and a file that is not text, are refused with the reason`() throws {
    try withFolder(["a.yaml": "name: a\nagents: {capabilities: [x]}"]) { folder in
      try FileManager.default.createDirectory(at: URL(filePath: folder).appending(path: "x.yaml"), withIntermediateDirectories: false)
      try Data([0xFF, 0xFE, 0x00]).write(to: URL(filePath: folder).appending(path: "z.yaml"))
      let error = #expect(throws: ConfigurationError.self) { try PatternFile.load(directory: folder) }
      #expect(
        error?.faults.map(\.description) == [
          "\(folder)/x.yaml: the file is a folder", "\(folder)/z.yaml: the file does not hold UTF-8 text",
        ])
    }
  }

  @Test func `A missing folder is refused`() {
    let error = #expect(throws: ConfigurationError.self) { try PatternFile.load(directory: "/nonexistent/patterns") }
    #expect(error?.description == "/nonexistent/patterns: patterns.directory: the folder cannot be read")
  }

  @Test func `The patterns that come with the project can be loaded`() throws {
    let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent()
    let patterns = try PatternFile.load(directory: root.appending(path: "patterns").path)
    #expect(patterns.map(\.name) == ["content-classifier", "document-analysis", "fastest-answer"])
    #expect(patterns.map(\.aggregation.strategy) == [.voting, .merge, .first])
    #expect(patterns.allSatisfy { $0.agents.min == 1 })
  }

  private func withFolder(_ files: [String: String], _ body: (String) throws -> Void) throws {
    let folder = FileManager.default.temporaryDirectory.appending(path: "patterns-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    for (name, text) in files { try text.write(to: folder.appending(path: name), atomically: true, encoding: .utf8) }
    try body(folder.path)
  }
}
