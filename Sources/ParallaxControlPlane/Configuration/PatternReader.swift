import ParallaxAPI

/// Turns a document into a pattern and collects its faults.
struct PatternReader {
  private typealias Members = [String: YAMLNode.Member]

  private enum Keys {
    static let pattern = PatternDefinition.fieldNames
    static let wrapper = ["name", "version", "description", "definition"]
    static let agents = AgentRequirement.fieldNames
    static let aggregation = Aggregation.fieldNames
  }

  let file: String
  private(set) var faults: [ConfigurationFault] = []
  /// The line of each key; keys of a wrapped definition without the prefix `definition.`.
  private var lines: [String: Int] = [:]

  init(file: String) {
    self.file = file
  }

  /// The pattern that a document defines; nil if it has faults.
  mutating func pattern(_ root: YAMLNode) -> PatternDefinition? {
    guard let members = definition(root) else { return nil }
    let name = text(members, "name", requiredIn: root.line)
    let version = text(members, "version")
    let description = text(members, "description")
    let agents = agents(members, line: root.line)
    let aggregation = aggregation(members)
    let timeout = duration(members, "timeout")
    let retries = number(members, "retries", within: PatternDefinition.retryBounds)
    guard faults.isEmpty, let name, let agents else { return nil }
    var pattern = PatternDefinition(name: name, description: description, agents: agents, timeout: timeout)
    if let version { pattern.version = version }
    if let aggregation { pattern.aggregation = aggregation }
    if let retries { pattern.retries = retries }
    checkRules(pattern, line: root.line)
    return faults.isEmpty ? pattern : nil
  }

  /// The members of the definition, completed with those of a wrapper around it.
  private mutating func definition(_ root: YAMLNode) -> Members? {
    guard case .mapping(let outer) = root.content, let wrapped = outer.first(where: { $0.key == "definition" }) else {
      return members(root, "", Keys.pattern)
    }
    let wrapper = members(root, "", Keys.wrapper) ?? [:]
    guard let inner = members(wrapped.value, "definition", Keys.pattern) else { return nil }
    for (key, member) in wrapper where key != "definition" {
      guard let own = inner[key], scalar(own.value) != scalar(member.value) else { continue }
      report(own.line, "definition.\(key)", .brokenRule("differs from \(key) in line \(member.line)"))
    }
    return wrapper.filter { $0.key != "definition" }.merging(inner) { $1 }
  }

  private mutating func agents(_ pattern: Members, line: Int) -> AgentRequirement? {
    guard let member = pattern["agents"] else {
      report(line, "agents", .invalidValue(found: "nothing", expected: "a section with \(Keys.agents.joined(separator: ", "))"))
      return nil
    }
    guard let members = members(member.value, "agents", Keys.agents) else { return nil }
    let capabilities = texts(members, "agents.capabilities", line: member.line)
    let min = number(members, "agents.min", within: AgentRequirement.countBounds)
    let max = number(members, "agents.max", within: AgentRequirement.countBounds)
    return capabilities.map { capabilities in
      guard let min else { return AgentRequirement(capabilities: capabilities, max: max) }
      return AgentRequirement(capabilities: capabilities, min: min, max: max)
    }
  }

  private mutating func aggregation(_ pattern: Members) -> Aggregation? {
    guard let member = pattern["aggregation"], let members = members(member.value, "aggregation", Keys.aggregation) else { return nil }
    let strategy: Aggregation.Strategy? = choice(members, "aggregation.strategy")
    if members["strategy"] == nil {
      report(member.line, "aggregation.strategy", .invalidValue(found: "nothing", expected: Self.choices(Aggregation.Strategy.self)))
    }
    let method: Aggregation.Method? = choice(members, "aggregation.method")
    let field = text(members, "aggregation.field")
    let threshold = number(members, "aggregation.threshold", expected: "a number above 0 and at most 1") { Double($0) }
    return strategy.map { Aggregation(strategy: $0, method: method, field: field, threshold: threshold) }
  }

  /// Reports the violations of the rules for all patterns, with the lines of this document.
  private mutating func checkRules(_ pattern: PatternDefinition, line: Int) {
    for fault in pattern.faults() {
      let key = String(fault.prefix { $0 != ":" })
      let text = fault.dropFirst(key.count).drop { $0 == ":" || $0 == " " }
      let base = String(key.prefix { $0 != "[" })
      report(lines[base] ?? line, key, .brokenRule(String(text)))
    }
  }
}

/// Readers for the kinds of values.
extension PatternReader {
  private mutating func members(_ node: YAMLNode, _ key: String, _ known: [String]) -> Members? {
    guard case .mapping(let members) = node.content else {
      report(node.line, key, .invalidValue(found: node.kind, expected: "a section with \(known.joined(separator: ", "))"))
      return nil
    }
    for member in members {
      let path = key.isEmpty ? member.key : "\(key).\(member.key)"
      lines[path.hasPrefix("definition.") ? String(path.dropFirst("definition.".count)) : path] = member.line
      guard !known.contains(member.key) else { continue }
      let nearest = NearestKey.of(member.key, among: known).map { key.isEmpty ? $0 : "\(key).\($0)" }
      report(member.line, path, .unknownKey(nearest: nearest))
    }
    return Dictionary(uniqueKeysWithValues: members.map { ($0.key, $0) })
  }

  private func scalar(_ node: YAMLNode) -> String? {
    guard case .scalar(let text, _) = node.content, !node.isNull else { return nil }
    return text
  }

  /// The member that the last part of a path names.
  private func member(_ members: Members, _ path: String) -> YAMLNode.Member? {
    members[path.split(separator: ".").last.map(String.init) ?? path]
  }

  private mutating func text(_ members: Members, _ path: String, requiredIn line: Int? = nil) -> String? {
    guard let member = member(members, path) else {
      if let line { report(line, path, .invalidValue(found: "nothing", expected: "a text")) }
      return nil
    }
    guard let text = scalar(member.value) else {
      report(member.line, path, .invalidValue(found: member.value.kind, expected: "a text"))
      return nil
    }
    return text
  }

  private mutating func texts(_ members: Members, _ path: String, line: Int) -> [String]? {
    let expected = "a list of texts, such as [classification]"
    guard let member = member(members, path) else {
      report(line, path, .invalidValue(found: "nothing", expected: expected))
      return nil
    }
    guard case .sequence(let elements) = member.value.content else {
      report(member.line, path, .invalidValue(found: member.value.kind, expected: expected))
      return nil
    }
    let texts = elements.compactMap(scalar)
    guard texts.count == elements.count else {
      report(member.line, path, .invalidValue(found: "a list with other elements", expected: expected))
      return nil
    }
    return texts
  }

  /// A whole number; the rules for all patterns check its bounds.
  private mutating func number(_ members: Members, _ path: String, within bounds: ClosedRange<Int>) -> Int? {
    number(members, path, expected: "a whole number from \(bounds.text())") { Int($0) }
  }

  /// A number, which must stand without quotes, in YAML as in JSON.
  private mutating func number<Value>(_ members: Members, _ path: String, expected: String, _ parse: (String) -> Value?) -> Value? {
    guard let member = member(members, path) else { return nil }
    if case .scalar(let text, isPlain: true) = member.value.content, let value = parse(text) { return value }
    report(member.line, path, .invalidValue(found: found(member.value), expected: expected))
    return nil
  }

  private mutating func duration(_ members: Members, _ path: String) -> Duration? {
    guard let member = member(members, path) else { return nil }
    if let text = scalar(member.value) {
      if let milliseconds = Int64(text), milliseconds >= 0 { return .milliseconds(milliseconds) }
      if let duration = Duration(text: text) { return duration }
    }
    report(
      member.line, path, .invalidValue(found: found(member.value), expected: "a duration such as 30s or 1m30s, or a number of milliseconds")
    )
    return nil
  }

  private mutating func choice<Value: RawRepresentable<String> & CaseIterable>(_ members: Members, _ path: String) -> Value? {
    guard let member = member(members, path) else { return nil }
    if let value = scalar(member.value).flatMap(Value.init(rawValue:)) { return value }
    report(member.line, path, .invalidValue(found: found(member.value), expected: Self.choices(Value.self)))
    return nil
  }

  private static func choices<Value: RawRepresentable<String> & CaseIterable>(_: Value.Type) -> String {
    "one of \(Value.allCases.map(\.rawValue).joined(separator: ", "))"
  }

  private func found(_ node: YAMLNode) -> String {
    scalar(node).map(FoundText.quoted) ?? node.kind
  }

  private mutating func report(_ line: Int, _ key: String, _ problem: ConfigurationFault.Problem) {
    faults.append(ConfigurationFault(.file(file, line: line), key: key, problem))
  }
}
