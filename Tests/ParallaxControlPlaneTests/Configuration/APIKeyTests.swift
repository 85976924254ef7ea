import ParallaxAPI
import ParallaxControlPlane
import Testing

@Suite struct APIKeyTests {
  private static let secret = "hunter2-hunter2-hunter2"
  private static let other = "hunter3-hunter3-hunter3"
  private static let path = "security.authentication.apiKeys"

  private func keys(_ yaml: String? = nil, environment: [String: String] = [:], files: [String: String] = [:]) throws -> [APIKey] {
    try load(yaml, environment: environment, files: files).security.authentication.apiKeys
  }

  private func key(_ name: String, _ secret: String, _ scopes: Set<AccessScope>) throws -> APIKey {
    try #require(APIKey(name: name, key: secret, scopes: scopes))
  }

  /// A file with one entry per line, from the fourth line on.
  private func file(_ entries: String...) -> String {
    "security:\n  authentication:\n    apiKeys:\n" + entries.map { "      - \($0)\n" }.joined()
  }

  @Test func `A key from a variable or a file is the same as its hash`() throws {
    let expected = try [key("a", Self.secret, [.read])]
    let hash = expected[0].hash
    #expect(try keys(file("{ name: a, key: \(Self.secret), scopes: [read] }")) == expected)
    #expect(try keys(file("{ name: a, hash: \"\(hash)\", scopes: [read] }")) == expected)
    #expect(try keys(file("{ name: a, key: \"${K}\", scopes: [read] }"), environment: ["K": Self.secret]) == expected)
    #expect(try keys(file("{ name: a, key: \"file:k\", scopes: [read] }"), files: ["conf/k": Self.secret + "\n"]) == expected)
    #expect(try keys("security: { authentication: { apiKeys: [] } }").isEmpty)
  }

  @Test func `The variable has keys alone or with names and scopes, and replaces the file`() throws {
    let text = "\(Self.secret),ci:execute+agent:\(Self.other)\n b:read:\(try key("b", Self.secret + "b", [.read]).hash)"
    let expected = try [
      key("key-1", Self.secret, [.read, .execute, .agent, .admin]), key("ci", Self.other, [.execute, .agent]),
      key("b", Self.secret + "b", [.read]),
    ]
    #expect(try keys(environment: ["PARALLAX_API_KEYS": text]) == expected)
    #expect(try keys(environment: ["PARALLAX_API_KEYS": "file:k"], files: ["k": text]) == expected)
    #expect(try keys("security: { authentication: { apiKeys: \"file:k\" } }", files: ["conf/k": text]) == expected)
    let inFile = file("{ name: a, key: \(Self.secret), scopes: [read] }")
    #expect(try keys(inFile, environment: ["PARALLAX_API_KEYS": Self.other]).map(\.name) == ["key-1"])
  }

  @Test(
    arguments: [
      ("{ name: a, key: hunter2, scopes: [read] }", "[0].key: expected 20 to 512 letters, digits or -._~+/="),
      ("{ name: a, key: \"hunter2 hunter2 hunter2 \", scopes: [read] }", "[0].key: expected 20 to 512 letters, digits or -._~+/="),
      ("{ name: a, hash: hunter2, scopes: [read] }", "[0].hash: expected sha256: and 64 hexadecimal digits"),
      ("{ name: a, hash: x, key: y, scopes: [read] }", "[0]: expected either hash or key"),
      ("{ name: a, scopes: [read] }", "[0]: expected either hash or key"),
      ("{ key: \(secret), scopes: [read] }", "[0]: name is missing"), ("{ name: a, key: \(secret) }", "[0]: scopes is missing"),
      (
        "{ name: \"a b\", key: \(secret), scopes: [read] }",
        "[0].name: found \"a b\", expected 1 to 64 letters, digits, '-', '_' or '.'"
      ),
      ("{ name: a, key: \(secret), scopes: [reed] }", "[0].scopes: found [\"reed\"], expected a list of read, execute, agent, admin"),
      ("{ name: a, key: \(secret), scopes: [] }", "[0].scopes: found [], expected a list of read, execute, agent, admin"),
      ("{ nmae: a, key: \(secret), scopes: [read] }", "[0].nmae: unknown key; did you mean \(path)[0].name?"),
      ("{ name: a, key: [\(secret)], scopes: [read] }", "[0].key: found a list, expected a text"),
      ("{ name: a, key: \"file:none\", scopes: [read] }", "[0].key: the file \"none\" cannot be read"),
      ("\(secret)", "[0]: found a single value, expected a section with name, scopes, and either hash or key"),
    ])
  func `A faulty entry is refused with its place, without the key`(entry: String, fault: String) {
    let found = faults(file(entry))
    #expect(found == ["conf/node.yaml:4: \(Self.path)\(fault)"])
    #expect(!found.joined().contains("hunter"))
  }

  @Test func `All faulty entries are reported at once`() {
    let found = faults(file("{ name: a, key: x, scopes: [read] }", "{ name: b, hash: y, scopes: [read] }", "~"))
    let places = ["4: \(Self.path)[0].key: ", "5: \(Self.path)[1].hash: ", "6: \(Self.path)[2]: "]
    #expect(found.count == 3 && zip(found, places).allSatisfy { $0.hasPrefix("conf/node.yaml:\($1)") }, "\(found)")
  }

  @Test(arguments: ["hunter2", "ci:read", "ci:reed:\(secret)", "c!i:read:\(secret)", ":read:\(secret)", "ci::\(secret)", "ci:read:", ","])
  func `A faulty variable is refused without its text`(text: String) {
    let found = faults(environment: ["PARALLAX_API_KEYS": text])
    #expect(found.count == 1)
    #expect(found.first?.hasPrefix("environment variable PARALLAX_API_KEYS: \(Self.path): expected a list of sections, or KEY or ") == true)
    #expect(!found.joined().contains("hunter"))
  }

  @Test func `Names and keys are unique`() {
    let name = faults(file("{ name: a, key: \(Self.secret), scopes: [read] }", "{ name: a, key: \(Self.other), scopes: [read] }"))
    #expect(name == ["conf/node.yaml:3: \(Self.path): two keys have the name a"])
    let key = faults(file("{ name: a, key: \(Self.secret), scopes: [read] }", "{ name: b, key: \(Self.secret), scopes: [read] }"))
    #expect(key == ["conf/node.yaml:3: \(Self.path): a and b are the same key"])
  }

  @Test func `Keys beside an open door are refused`() {
    let found = faults("security: { allowUnauthenticated: true }", environment: ["PARALLAX_API_KEYS": Self.secret])
    #expect(
      found == [
        "conf/node.yaml:1: security.allowUnauthenticated: a node with API keys answers their holders only; remove "
          + "security.allowUnauthenticated, or the keys"
      ])
  }

  @Test func `A program's keys are checked when the node is made`() throws {
    var configuration = NodeConfiguration(nodeID: "node-1")
    configuration.security.authentication.apiKeys = try [key("a", Self.secret, [])]
    let error = #expect(throws: ConfigurationError.self) { try ParallaxNode(configuration: configuration) }
    #expect(error?.description == "configuration: \(Self.path): the key a has no scope")
    #expect(APIKey(name: "a", key: "short", scopes: [.read]) == nil && APIKey(name: "a", hash: "sha256:ab", scopes: [.read]) == nil)
  }

  @Test func `The printed configuration has names and scopes, and loads again unless hashes are hidden`() throws {
    let configuration = try load(environment: ["PARALLAX_API_KEYS": "ci:execute+agent:\(Self.secret),\(Self.other)"])
    #expect(try load(configuration.render(secretsHidden: false)) == configuration)
    let line = configuration.render().split(separator: "\n").first { $0.contains("apiKeys") }
    let all = "[read, execute, agent, admin]"
    #expect(
      line == #"    apiKeys: [{ name: "ci", hash: "***", scopes: [execute, agent] }, { name: "key-2", hash: "***", scopes: \#(all) }]"#)
    #expect(!NodeConfiguration(nodeID: "node-1").render().contains("apiKeys"))
  }
}
