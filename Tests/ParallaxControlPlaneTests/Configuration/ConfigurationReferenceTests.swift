import Foundation
import ParallaxAPI
import ParallaxConcurrency
import TestSupport
import Testing

@testable import ParallaxControlPlane

/// The descriptions of all keys that people and tools read.
@Suite struct ConfigurationPageTests {
  @Test func `The page of all keys is the one that the table of keys makes`() throws {
    let page = try String(contentsOf: ProjectLayout.root.appending(path: "docs/operations/configuration.md"), encoding: .utf8)
    let begin = try #require(page.range(of: "<!-- keys: written by parallaxd --print-config-reference -->\n"))
    let end = try #require(page.range(of: "<!-- end of keys -->"))
    #expect(
      page[begin.upperBound..<end.lowerBound] == ConfigurationReference.markdown,
      "write the output of `parallaxd --print-config-reference` into the page")
  }

  @Test func `Every key is described in one sentence or two, and listed once`() {
    for key in ConfigurationKeys.all {
      #expect(key.purpose.hasSuffix(".") && key.purpose.first?.isUppercase == true && !key.purpose.contains("|"), "\(key.path)")
      #expect(ConfigurationReference.markdown.components(separatedBy: "| `\(key.path)` |").count == 2, "\(key.path)")
    }
  }

  @Test func `The schema has every key at its place, with its default`() throws {
    let schema = try JSON.value(from: ConfigurationReference.schema.utf8)
    for key in ConfigurationKeys.all {
      let path = key.path.split(separator: ".")
      let place = path.reduce(schema as JSONValue?) { $0?["properties"]?[String($1)] }
      let found = try #require(place, "\(key.path)")
      #expect(found["description"]?.stringValue?.hasPrefix(key.purpose) == true)
      if let value = found["default"] { #expect(SchemaCheck(root: schema).accepts(value, found), "\(key.path): \(value)") }
    }
    #expect(schema["properties"]?["server"]?["properties"]?["port"]?["default"] == 8_080)
  }

  @Test(
    arguments: [
      ("{}", true), (#"{"server":null}"#, true), (#"{"server":{"port":0,"drainTimeout":"1m30s"}}"#, true),
      (#"{"server":{"port":70000}}"#, false), (#"{"server":{"port":"${PORT}"}}"#, true), (#"{"server":{"prot":1}}"#, false),
      (#"{"server":{"drainTimeout":"30"}}"#, false), (#"{"server":{"drainTimeout":""}}"#, false),
      (#"{"server":{"hosts":["a","b"]}}"#, true), (#"{"server":{"hosts":"a,b"}}"#, true), (#"{"server":{"hosts":[[]]}}"#, false),
      (#"{"limits":{"requestBody":"8MiB","requestsPerMinute":"off"}}"#, true), (#"{"limits":{"requestBody":"8MB"}}"#, false),
      (#"{"limits":{"requestsPerMinute":0}}"#, false), (#"{"logging":{"level":"loud"}}"#, false), (#"{"logging":{"level":"debug"}}"#, true),
      (#"{"highAvailability":{"enabled":"yes"}}"#, false), (#"{"highAvailability":{"enabled":true}}"#, true),
      (#"{"security":{"authentication":{"apiKeys":[{"name":"a","key":"x","scopes":["read"]}]}}}"#, true),
      (#"{"security":{"authentication":{"apiKeys":[{"name":"a","key":"x","scopes":["reed"]}]}}}"#, false),
      (#"{"security":{"authentication":{"apiKeys":[{"name":"a","key":"x"}]}}}"#, false),
      (#"{"security":{"authentication":{"apiKeys":"file:keys"}}}"#, true),
      (#"{"security":{"authentication":{"jwt":{"algorithms":["HS256"]}}}}"#, false),
      (#"{"security":{"mtls":{"identities":"a"}}}"#, false),
    ])
  func `The schema accepts what the node accepts`(document: String, isAccepted: Bool) throws {
    let schema = try JSON.value(from: ConfigurationReference.schema.utf8)
    #expect(SchemaCheck(root: schema).accepts(try JSON.value(from: document.utf8), schema) == isAccepted)
  }
}

/// The keywords of JSON Schema that the configuration's schema uses; an unknown one fails the test.
private struct SchemaCheck {
  private static let annotations: Set<String> = ["$schema", "$defs", "title", "description", "default"]

  let root: JSONValue

  func accepts(_ value: JSONValue, _ schema: JSONValue) -> Bool {
    guard case .object(let keywords) = schema else { return schema == true }
    return keywords.allSatisfy { Self.annotations.contains($0.key) || accepts(value, $0.key, $0.value, in: schema) }
  }

  private func accepts(_ value: JSONValue, _ keyword: String, _ rule: JSONValue, in schema: JSONValue) -> Bool {
    switch (keyword, rule) {
    case ("$ref", _): accepts(value, root["$defs"]?["reference"] ?? false)
    case ("type", .array(let types)): types.contains { accepts(value, "type", $0, in: schema) }
    case ("type", _): rule.stringValue == Self.type(of: value)
    case ("enum", .array(let values)): values.contains(value)
    case ("anyOf", .array(let schemas)): schemas.contains { accepts(value, $0) }
    case ("minimum", _): value.doubleValue.map { $0 >= rule.doubleValue ?? .infinity } ?? true
    case ("maximum", _): value.doubleValue.map { $0 <= rule.doubleValue ?? -.infinity } ?? true
    case ("minLength", _): value.stringValue.map { $0.count >= Int(rule.integerValue ?? .max) } ?? true
    case ("minItems", _): Self.elements(value).map { $0.count >= Int(rule.integerValue ?? .max) } ?? true
    case ("pattern", .string(let pattern)): value.stringValue.map { (try? Regex(pattern)).flatMap($0.firstMatch(of:)) != nil } ?? true
    case ("items", _): Self.elements(value)?.allSatisfy { accepts($0, rule) } ?? true
    case ("required", .array(let names)): names.allSatisfy { $0.stringValue.flatMap { value[$0] } != nil }
    case ("properties", .object(let properties)): properties.allSatisfy { name, rule in value[name].map { accepts($0, rule) } ?? true }
    case ("additionalProperties", false): Self.names(value).isSubset(of: Self.names(schema["properties"]))
    default: false
    }
  }

  private static func type(of value: JSONValue) -> String {
    switch value {
    case .null: "null"
    case .bool: "boolean"
    case .integer: "integer"
    case .number: "number"
    case .string: "string"
    case .array: "array"
    case .object: "object"
    }
  }

  private static func elements(_ value: JSONValue) -> [JSONValue]? {
    if case .array(let elements) = value { elements } else { nil }
  }

  private static func names(_ value: JSONValue?) -> Set<String> {
    if case .object(let members)? = value { Set(members.keys) } else { [] }
  }
}

/// The difference between two configurations, as a reload sees it.
@Suite struct ConfigurationChangeTests {
  @Test func `What a reload applies is in force, and the rest waits for a restart`() throws {
    let former = NodeConfiguration(nodeID: "node-1")
    var next = former
    next.logging.level = .debug
    next.limits.requestBody = 1_024
    next.server.port = 9_000
    next.redis.password = "hunter2"
    next.security.authentication.apiKeys = [try #require(APIKey(name: "a", key: "hunter2-hunter2-hunter2", scopes: [.read]))]
    let change = try ConfigurationChange(from: former, to: next)
    #expect(change.applied == ["security.authentication.apiKeys", "limits.requestBody", "logging.level"])
    #expect(change.postponed == ["server.port", "redis.password"])
    #expect(change.result.logging.level == .debug && change.result.limits.requestBody == 1_024)
    #expect(change.result.security.authentication.apiKeys == next.security.authentication.apiKeys)
    #expect(change.result.server.port == 8_080 && change.result.redis.password == nil)
    let again = try ConfigurationChange(from: change.result, to: next)
    #expect(again.applied.isEmpty && again.postponed == change.postponed, "what waits is said again")
  }

  @Test func `A configuration without any credentials opens no running node`() throws {
    var former = NodeConfiguration(nodeID: "node-1")
    former.security.authentication.apiKeys = [try #require(APIKey(name: "a", key: "hunter2-hunter2-hunter2", scopes: [.read]))]
    var next = NodeConfiguration(nodeID: "node-1")
    next.logging.level = .debug
    let change = try ConfigurationChange(from: former, to: next)
    #expect(change.result.security.authentication == former.security.authentication)
    #expect(change.applied == ["logging.level"] && change.postponed == ["security.authentication.apiKeys"])
  }

  @Test func `Only new and changed patterns of the files are stored again`() {
    let (one, two) = (World.pattern(), PatternDefinition(name: "two", agents: AgentRequirement(capabilities: ["text"])))
    let shipped = ShippedPatterns([one])
    #expect(shipped.replace(with: [one]) == [] && !shipped.replaced.silence(), "the same file says nothing new")
    var changed = one
    changed.retries += 1
    #expect(shipped.replace(with: [changed, two]) == ["\(one.name) \(one.version)", "two 1.0.0"])
    #expect(shipped.replaced.silence() && shipped.changed == [changed, two])
    shipped.stored(changed)
    #expect(shipped.changed == [two] && shipped.all == [changed, two])
    #expect(shipped.replace(with: [changed]) == [] && shipped.changed == [], "a file that is gone is not stored late")
  }

  @Test func `Equal configurations have no difference`() throws {
    let change = try ConfigurationChange(from: NodeConfiguration(nodeID: "node-1"), to: NodeConfiguration(nodeID: "node-1"))
    #expect(change.applied.isEmpty && change.postponed.isEmpty)
  }

  @Test func `Settings that do not go together with those in force are refused`() throws {
    var former = NodeConfiguration(nodeID: "node-1")
    former.security.mtls = NodeConfiguration.MutualTLS(
      enabled: true, serverCert: "c", serverKey: "k", clientCA: "a", identities: [ClientIdentity(name: "n", scopes: [.read])])
    var next = NodeConfiguration(nodeID: "node-1")
    next.security.allowUnauthenticated = true
    #expect(throws: ConfigurationError.self) { try ConfigurationChange(from: former, to: next) }
  }

  @Test func `What the design promises to reload is reloaded`() {
    let reloadable = Set(ConfigurationKeys.all.filter(\.isReloadable).map(\.path))
    let promised = ConfigurationKeys.all.map(\.path).filter { path in
      ["logging.level", "patterns.directory"].contains(path) || path.hasPrefix("limits.") || path.hasPrefix("security.authentication.")
    }
    #expect(reloadable.isSuperset(of: promised))
    #expect(reloadable.isDisjoint(with: ["node.id", "server.port", "redis.url", "highAvailability.enabled", "logging.format"]))
  }
}
