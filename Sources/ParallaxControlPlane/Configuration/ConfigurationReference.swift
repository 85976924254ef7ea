import ParallaxAPI

/// Descriptions of all keys, for people and for tools.
package enum ConfigurationReference {
  /// A Markdown table of all keys: variable, accepted values, default, and whether a reload suffices.
  package static var markdown: String {
    let defaults = NodeConfiguration(nodeID: "host")
    let rows = ConfigurationKeys.all.map { key in
      let value = key.path == "node.id" ? nil : key.text(defaults).map { "`\($0.reference)`" }
      let variable = key.environment.map { "`\($0)`" }
      return [
        "`\(key.path)`", key.purpose, key.accepted, value ?? "", variable ?? "", key.isReloadable ? "reload" : "restart",
      ]
    }
    let head = "| key | sets | values | default | variable | a change needs |\n|---|---|---|---|---|---|\n"
    return head + rows.map { "| \($0.joined(separator: " | ")) |\n" }.joined()
  }

  /// The JSON Schema (2020-12) of a configuration file.
  package static var schema: String {
    var root = Section()
    for key in ConfigurationKeys.all { root.add(key, at: key.path.split(separator: ".").map(String.init)[...]) }
    var members = root.members
    members["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    members["$defs"] = ["reference": ValueShape.reference]
    members["title"] = "Configuration of parallaxd"
    return ((try? JSON.text(JSONValue.object(members))) ?? "") + "\n"
  }

  /// A section of the schema under construction.
  private struct Section {
    var keys: [String: JSONValue] = [:]
    var sections: [String: Section] = [:]

    mutating func add(_ key: ConfigurationKey, at path: ArraySlice<String>) {
      guard let name = path.first else { return }
      if path.count == 1 { keys[name] = key.schema } else { sections[name, default: Section()].add(key, at: path.dropFirst()) }
    }

    var members: [String: JSONValue] {
      let properties = keys.merging(sections.mapValues { .object($0.members) }) { first, _ in first }
      return ["type": ["object", "null"], "additionalProperties": false, "properties": .object(properties)]
    }
  }
}

extension ConfigurationKey {
  /// The accepted values without the examples that an error shows.
  fileprivate var accepted: String {
    expected.replacing(/, such as .*$/, with: "").replacing("|", with: "\\|")
  }

  fileprivate var schema: JSONValue {
    guard case .object(var members) = shape.schema else { return true }
    members["description"] = .string("\(purpose) Expected: \(expected).")
    if path != "node.id", let value = text(NodeConfiguration(nodeID: "host"))?.json { members["default"] = value }
    return .object(members)
  }
}

extension ConfigurationText {
  /// The value without quotes.
  fileprivate var reference: String {
    switch self {
    case .plain(let text), .quoted(let text): text
    case .list(let elements): "[\(elements.joined(separator: ", "))]"
    }
  }

  fileprivate var json: JSONValue? {
    switch self {
    case .plain(let text): Int64(text).map { .integer($0) } ?? Bool(text).map { .bool($0) } ?? .string(text)
    case .quoted(let text): .string(text)
    case .list(let elements): .array(elements.map(JSONValue.string))
    }
  }
}
