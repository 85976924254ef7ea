import ParallaxAPI
import Testing

@Suite struct PatternDefinitionTests {
  private let sound = PatternDefinition(
    name: "content-classifier", agents: AgentRequirement(capabilities: ["classification"], min: 3, max: 5))

  private func faults(_ change: (inout PatternDefinition) -> Void) -> [String] {
    var pattern = sound
    change(&pattern)
    return pattern.faults()
  }

  @Test func aValidDefinitionHasNoFaults() {
    #expect(sound.faults() == [])
    #expect(faults { $0.aggregation = Aggregation(strategy: .voting, method: .weighted, field: "category") } == [])
    #expect(faults { $0.aggregation = Aggregation(strategy: .consensus, threshold: 1) } == [])
    #expect(faults { $0.version = "2.0.0-rc.1+build" } == [])
    #expect(faults { $0.agents.capabilities = ["nlp:classify.v2_x"] } == [])
  }

  @Test func namesThatDoNotFitAKeyOrPathAreRefused() {
    #expect(faults { $0.name = "" } == [#"name: expected 1 to 128 letters, digits, '-', '_' or '.', found """#])
    #expect(faults { $0.name = "a/b" }.first?.hasPrefix("name: ") == true)
    #expect(faults { $0.name = "a{b}" }.first?.hasPrefix("name: ") == true)
    #expect(faults { $0.name = "grün" }.first?.hasPrefix("name: ") == true)
    #expect(faults { $0.name = String(repeating: "a", count: 129) }.count == 1)
    #expect(faults { $0.name = String(repeating: "a", count: 128) } == [])
  }

  @Test func anOverlongNameIsNotRepeatedInFull() {
    let fault = faults { $0.name = String(repeating: "a", count: 1_000_000) }.first
    #expect((fault?.utf8.count ?? 0) < 300)
    let version = faults { $0.version = String(repeating: "1", count: 1_000_000) }.first
    #expect((version?.utf8.count ?? 0) < 300)
  }

  @Test func versionsThatDoNotFitAKeyAreRefused() {
    #expect(faults { $0.version = "" }.first?.hasPrefix("version: ") == true)
    #expect(faults { $0.version = "1 0" }.first?.hasPrefix("version: ") == true)
    #expect(faults { $0.version = String(repeating: "1", count: 65) }.count == 1)
  }

  @Test func capabilitiesAreRequiredAndEachFaultHasItsIndex() {
    #expect(faults { $0.agents.capabilities = [] } == ["agents.capabilities: expected at least one capability"])
    #expect(faults { $0.agents.capabilities = ["good", "not good"] }.first?.hasPrefix("agents.capabilities[1]: expected ") == true)
    #expect(PatternDefinition.capabilityFault("") != nil)
    #expect(PatternDefinition.capabilityFault("ocr:de") == nil)
  }

  @Test func numbersOfAgentsHaveBounds() {
    #expect(faults { $0.agents.min = 0 } == ["agents.min: expected 1 to 1000, found 0"])
    #expect(faults { $0.agents.max = 2 } == ["agents.max: expected agents.min (3) to 1000, found 2"])
    #expect(faults { $0.agents.max = 1_001 } == ["agents.max: expected agents.min (3) to 1000, found 1001"])
    #expect(faults { $0.agents = AgentRequirement(capabilities: ["x"], min: 1_000, max: 1_000) } == [])
  }

  @Test func retriesAndTimeoutHaveBounds() {
    #expect(faults { $0.retries = -1 } == ["retries: expected 0 to 100, found -1"])
    #expect(faults { $0.retries = 101 } == ["retries: expected 0 to 100, found 101"])
    #expect(faults { $0.timeout = WireDuration(.zero) } == ["timeout: expected 1ms to 1d, found 0s"])
    #expect(faults { $0.timeout = WireDuration(.seconds(86_401)) } == ["timeout: expected 1ms to 1d, found 1d1s"])
    #expect(faults { $0.timeout = WireDuration(.milliseconds(1)) } == [])
  }

  @Test func aggregationAcceptsOnlyFieldsOfItsStrategy() {
    #expect(
      faults { $0.aggregation = Aggregation(strategy: .merge, method: .majority, field: "x", threshold: 0.5) } == [
        "aggregation.method: only voting and consensus have a method, not merge",
        "aggregation.field: only voting and consensus compare a field, not merge",
        "aggregation.threshold: only consensus has a threshold, not merge",
      ])
    for threshold in [nil, 0, -0.5, 1.01] {
      #expect(
        faults { $0.aggregation = Aggregation(strategy: .consensus, threshold: threshold) } == [
          "aggregation.threshold: consensus needs a share above 0 and at most 1"
        ])
    }
  }

  @Test func allFaultsAreNamedAtOnce() {
    let all = faults { pattern in
      pattern.name = ""
      pattern.version = ""
      pattern.agents = AgentRequirement(capabilities: [], min: 0, max: -1)
      pattern.retries = -1
    }
    #expect(all.map { $0.prefix { $0 != ":" } } == ["name", "version", "agents.capabilities", "agents.min", "agents.max", "retries"])
  }

  @Test func missingFieldsHaveTheirDefaults() throws {
    let pattern: PatternDefinition = try JSON.decode(from: #"{"name":"p","agents":{"capabilities":["x"],"min":4}}"#)
    #expect(pattern == PatternDefinition(name: "p", version: "1.0.0", agents: AgentRequirement(capabilities: ["x"], min: 4, max: 4)))
    #expect(pattern.aggregation == .first)
    #expect(pattern.timeout == nil)
    #expect(pattern.retries == 0)
    let smallest: PatternDefinition = try JSON.decode(from: #"{"name":"p","agents":{"capabilities":["x"]}}"#)
    #expect(smallest.agents == AgentRequirement(capabilities: ["x"], min: 1, max: 1))
  }
}
