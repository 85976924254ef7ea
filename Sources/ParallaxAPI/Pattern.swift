/// A pattern: the agents that an execution needs, the aggregation of their results, and the limits of an execution.
public struct PatternDefinition: Sendable, Hashable, Codable {
  /// The pattern's name: 1 to 128 letters, digits, `-`, `_` or `.`.
  public var name: String
  /// The version: 1 to 64 letters, digits, `-`, `_`, `+` or `.`; `1.0.0` by default.
  public var version: String
  /// The purpose of the pattern, for people.
  public var description: String?
  /// The agents that an execution needs.
  public var agents: AgentRequirement
  /// The aggregation of the results; `first` by default.
  public var aggregation: Aggregation
  /// The time-out of an execution, 1 ms to 1 d; nil uses the node's `executions.defaultTimeout`.
  public var timeout: WireDuration?
  /// The number of further agents that a task may go to after a retryable error or the loss of its agent, 0 to 100; 0 by default.
  public var retries: Int

  /// Makes a definition, without validation; see ``faults()``.
  ///
  /// - Parameters:
  ///   - name: The pattern's name.
  ///   - version: The version; `1.0.0` by default.
  ///   - description: The purpose of the pattern, for people.
  ///   - agents: The agents that an execution needs.
  ///   - aggregation: The aggregation of the results; `first` by default.
  ///   - timeout: The time-out of an execution, 1 ms to 1 d; nil uses the node's `executions.defaultTimeout`.
  ///   - retries: The number of further agents that a task may go to, 0 to 100; 0 by default.
  public init(
    name: String, version: String = "1.0.0", description: String? = nil, agents: AgentRequirement, aggregation: Aggregation = .first,
    timeout: Duration? = nil, retries: Int = 0
  ) {
    self.name = name
    self.version = version
    self.description = description
    self.agents = agents
    self.aggregation = aggregation
    self.timeout = timeout.map { WireDuration($0) }
    self.retries = retries
  }

  /// Decodes a definition, with defaults for missing fields.
  public init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    self.init(
      name: try container.decode(String.self, forKey: .name), agents: try container.decode(AgentRequirement.self, forKey: .agents))
    if let version = try container.decodeIfPresent(String.self, forKey: .version) { self.version = version }
    description = try container.decodeIfPresent(String.self, forKey: .description)
    if let aggregation = try container.decodeIfPresent(Aggregation.self, forKey: .aggregation) { self.aggregation = aggregation }
    timeout = try container.decodeIfPresent(WireDuration.self, forKey: .timeout)
    if let retries = try container.decodeIfPresent(Int.self, forKey: .retries) { self.retries = retries }
  }
}

/// The agents that a pattern needs: their capabilities and their number.
public struct AgentRequirement: Sendable, Hashable, Codable {
  /// The capabilities that each agent must have; at least one.
  public var capabilities: [String]
  /// The number of results that an execution needs, 1 to 1,000; 1 by default.
  public var min: Int
  /// The number of agents that get a task if available, `min` to 1,000; `min` by default.
  public var max: Int

  /// Makes a requirement.
  ///
  /// - Parameters:
  ///   - capabilities: The capabilities that each agent must have; at least one.
  ///   - min: The number of results that an execution needs, 1 to 1,000; 1 by default.
  ///   - max: The number of agents that get a task if available, `min` to 1,000; nil is `min`.
  public init(capabilities: [String], min: Int = 1, max: Int? = nil) {
    self.capabilities = capabilities
    self.min = min
    self.max = max ?? min
  }

  /// Decodes a requirement, with defaults for missing fields.
  public init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    let max = try container.decodeIfPresent(Int.self, forKey: .max)
    self.init(capabilities: try container.decode([String].self, forKey: .capabilities), max: max)
    guard let min = try container.decodeIfPresent(Int.self, forKey: .min) else { return }
    self.min = min
    if max == nil { self.max = min }
  }
}

/// The aggregation of the results of an execution's tasks into its result.
public struct Aggregation: Sendable, Hashable, Codable {
  /// The strategies of aggregation.
  public enum Strategy: String, Sendable, Hashable, Codable, CaseIterable {
    /// The first result.
    case first
    /// `{"results": […]}`, in the order of the tasks.
    case all
    /// One object with the members of all results, which must be objects; a later task's member wins.
    case merge
    /// The result with the most votes.
    case voting
    /// The result with the most votes, or a failure if its share is below the threshold.
    case consensus
  }

  /// The methods by which `voting` and `consensus` count results.
  public enum Method: String, Sendable, Hashable, Codable, CaseIterable {
    /// Each result counts once.
    case majority
    /// Each result counts by its confidence, which is 1 if the agent reports none.
    case weighted
  }

  /// The strategy.
  public var strategy: Strategy
  /// The method, for `voting` and `consensus` only; nil is `majority`.
  public var method: Method?
  /// The member of the result to compare, for `voting` and `consensus` only; nil compares whole results.
  public var field: String?
  /// The share of the votes that the winner needs, above 0 and at most 1, for `consensus` only.
  public var threshold: Double?

  /// Makes an aggregation.
  ///
  /// - Parameters:
  ///   - strategy: The strategy.
  ///   - method: The method, for `voting` and `consensus` only; nil is `majority`.
  ///   - field: The member of the result to compare, for `voting` and `consensus` only; nil compares whole results.
  ///   - threshold: The share of the votes that the winner needs, above 0 and at most 1, for `consensus` only.
  public init(strategy: Strategy, method: Method? = nil, field: String? = nil, threshold: Double? = nil) {
    self.strategy = strategy
    self.method = method
    self.field = field
    self.threshold = threshold
  }

  /// The aggregation with the strategy `first`.
  public static var first: Aggregation { Aggregation(strategy: .first) }
}

extension PatternDefinition {
  /// The faults of the definition, each as "field: expectation"; empty if the definition is valid.
  public func faults() -> [String] {
    var faults: [String] = []
    if name.isEmpty || name.utf8.count > 128 || !name.utf8.allSatisfy(Self.isNameByte) {
      faults.append("name: expected 1 to 128 letters, digits, '-', '_' or '.', found \"\(name.prefix(128))\"")
    }
    if version.isEmpty || version.utf8.count > 64 || !version.utf8.allSatisfy({ Self.isNameByte($0) || $0 == UInt8(ascii: "+") }) {
      faults.append("version: expected 1 to 64 letters, digits, '-', '_', '+' or '.', found \"\(version.prefix(64))\"")
    }
    if agents.capabilities.isEmpty {
      faults.append("agents.capabilities: expected at least one capability")
    }
    for (index, capability) in agents.capabilities.enumerated() {
      if let fault = Self.capabilityFault(capability) { faults.append("agents.capabilities[\(index)]: \(fault)") }
    }
    let counts = AgentRequirement.countBounds
    if !counts.contains(agents.min) { faults.append("agents.min: expected \(counts.text()), found \(agents.min)") }
    if agents.max < agents.min || agents.max > counts.upperBound {
      faults.append("agents.max: expected agents.min (\(agents.min)) to \(counts.upperBound), found \(agents.max)")
    }
    if !Self.retryBounds.contains(retries) { faults.append("retries: expected \(Self.retryBounds.text()), found \(retries)") }
    if let timeout, let fault = Self.timeoutFault(timeout.duration) { faults.append("timeout: \(fault)") }
    return faults + aggregation.faults()
  }

  /// The fault of a time-out; nil if it is valid.
  package static func timeoutFault(_ timeout: Duration) -> String? {
    timeoutBounds.contains(timeout) ? nil : "expected \(timeoutBounds.text { $0.text }), found \(timeout.text)"
  }

  /// The fault of a capability's name; nil if it is valid.
  package static func capabilityFault(_ capability: String) -> String? {
    if capability.isEmpty || capability.utf8.count > 128 || !capability.utf8.allSatisfy({ isNameByte($0) || $0 == UInt8(ascii: ":") }) {
      return "expected 1 to 128 letters, digits, '-', '_', ':' or '.', found \"\(capability.prefix(128))\""
    }
    return nil
  }

  /// Whether a byte is valid in a name, which becomes part of keys and paths.
  package static func isNameByte(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"): true
    case UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."): true
    default: false
    }
  }
}

extension Aggregation {
  fileprivate func faults() -> [String] {
    let votes = strategy == .voting || strategy == .consensus
    var faults: [String] = []
    if method != nil, !votes {
      faults.append("aggregation.method: only voting and consensus have a method, not \(strategy.rawValue)")
    }
    if field != nil, !votes {
      faults.append("aggregation.field: only voting and consensus compare a field, not \(strategy.rawValue)")
    }
    if strategy == .consensus {
      if let threshold, threshold > 0, threshold <= 1 { return faults }
      faults.append("aggregation.threshold: consensus needs a share above 0 and at most 1")
    } else if threshold != nil {
      faults.append("aggregation.threshold: only consensus has a threshold, not \(strategy.rawValue)")
    }
    return faults
  }
}
