/// A pattern: which agents an execution needs, how their results become one, and how long it may take.
public struct PatternDefinition: Sendable, Hashable, Codable {
  /// 1 to 128 letters, digits, `-`, `_` or `.`.
  public var name: String
  /// 1 to 64 letters, digits, `-`, `_`, `+` or `.`; default `1.0.0`.
  public var version: String
  /// What the pattern is for.
  public var description: String?
  /// Which agents an execution needs.
  public var agents: AgentRequirement
  /// How the results become one; default `first`.
  public var aggregation: Aggregation
  /// How long an execution may take; nil takes the node's `executions.defaultTimeout`.
  public var timeout: WireDuration?
  /// How often a task may be given to another agent after a retryable error or the loss of its agent.
  ///
  /// 0 to 100.
  public var retries: Int

  /// Makes a definition; ``faults()`` tells whether it is sound.
  ///
  /// - Parameters:
  ///   - name: The pattern's name.
  ///   - version: The version, `1.0.0` by default.
  ///   - description: What the pattern is for.
  ///   - agents: Which agents an execution needs.
  ///   - aggregation: How the results become one, `first` by default.
  ///   - timeout: How long an execution may take, 1 ms to 1 d; nil takes the node's default.
  ///   - retries: How often a task may be given to another agent, 0 to 100; none by default.
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

  /// Reads a definition, with the defaults for what is left out.
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

/// Which agents a pattern needs, and how many.
public struct AgentRequirement: Sendable, Hashable, Codable {
  /// Capabilities that an agent must all have.
  public var capabilities: [String]
  /// How many results are needed.
  ///
  /// Default 1.
  public var min: Int
  /// How many agents get a task when that many are available.
  ///
  /// Default `min`.
  public var max: Int

  /// Makes a requirement.
  ///
  /// - Parameters:
  ///   - capabilities: Capabilities that an agent must all have; at least one.
  ///   - min: How many results are needed, 1 to 1,000.
  ///   - max: How many agents get a task when that many are available, `min` to 1,000; nil is `min`.
  public init(capabilities: [String], min: Int = 1, max: Int? = nil) {
    self.capabilities = capabilities
    self.min = min
    self.max = max ?? min
  }

  /// Reads a requirement, with the defaults for what is left out.
  public init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    let max = try container.decodeIfPresent(Int.self, forKey: .max)
    self.init(capabilities: try container.decode([String].self, forKey: .capabilities), max: max)
    guard let min = try container.decodeIfPresent(Int.self, forKey: .min) else { return }
    self.min = min
    if max == nil { self.max = min }
  }
}

/// How the results of an execution's tasks become its result.
public struct Aggregation: Sendable, Hashable, Codable {
  /// The strategies that the product brings.
  public enum Strategy: String, Sendable, Hashable, Codable, CaseIterable {
    /// The first result.
    case first
    /// `{"results": […]}`, in the order of the tasks.
    case all
    /// One object of all results, which are objects; the later task's member counts.
    case merge
    /// The result with the most votes.
    case voting
    /// The result with the most votes; a failure if its share is below the threshold.
    case consensus
  }

  /// How `voting` and `consensus` count: one vote each, or each with its confidence.
  public enum Method: String, Sendable, Hashable, Codable, CaseIterable {
    /// One vote for each result.
    case majority
    /// Each result counts by its confidence, 1 where the agent gives none.
    case weighted
  }

  /// Which strategy makes the result.
  public var strategy: Strategy
  /// `voting` and `consensus` only.
  ///
  /// Default majority.
  public var method: Method?
  /// `voting` and `consensus` only: the member of the result that is compared; nil compares whole results.
  public var field: String?
  /// `consensus` only: the share of the votes that the winner must reach, above 0 and at most 1.
  public var threshold: Double?

  /// Makes an aggregation.
  ///
  /// - Parameters:
  ///   - strategy: Which strategy makes the result.
  ///   - method: How `voting` and `consensus` count; nil is `majority`.
  ///   - field: The member of the result that `voting` and `consensus` compare; nil compares whole results.
  ///   - threshold: The share that `consensus` needs, above 0 and at most 1.
  public init(strategy: Strategy, method: Method? = nil, field: String? = nil, threshold: Double? = nil) {
    self.strategy = strategy
    self.method = method
    self.field = field
    self.threshold = threshold
  }

  /// The first result is the result.
  public static var first: Aggregation { Aggregation(strategy: .first) }
}

extension PatternDefinition {
  /// What is wrong with this definition, each as "field: what was expected"; empty when it is sound.
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

  /// What is wrong with the time that an execution may take, or nil.
  package static func timeoutFault(_ timeout: Duration) -> String? {
    timeoutBounds.contains(timeout) ? nil : "expected \(timeoutBounds.text { $0.text }), found \(timeout.text)"
  }

  /// What is wrong with a capability's name, or nil.
  package static func capabilityFault(_ capability: String) -> String? {
    if capability.isEmpty || capability.utf8.count > 128 || !capability.utf8.allSatisfy({ isNameByte($0) || $0 == UInt8(ascii: ":") }) {
      return "expected 1 to 128 letters, digits, '-', '_', ':' or '.', found \"\(capability.prefix(128))\""
    }
    return nil
  }

  /// Whether a byte may stand in a name that becomes part of a key or a path.
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
