import ParallaxAPI
import ParallaxControlPlane
import ParallaxState
import Testing

@Suite struct VersionOrderTests {
  /// From the oldest to the newest.
  private static let order = [
    "0.9.9", "1", "1.0", "1.0.0-1", "1.0.0-2", "1.0.0-11", "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta", "1.0.0-beta.2",
    "1.0.0-beta.11", "1.0.0-rc.1", "1.0.0", "1.0.0+build", "1.0.1", "1.2.0", "1.10.0", "2.0.0-alpha", "2.0.0", "10.0.0", "2026.1.15",
    "main",
  ]

  @Test func versionsAreOrderedByValueWithReleasesAfterTheirPreReleases() {
    for (index, version) in Self.order.enumerated() {
      for (other, later) in Self.order.enumerated() {
        #expect(VersionOrder.isBefore(version, later) == (index < other), "\(version) and \(later)")
      }
    }
  }

  @Test(arguments: [("1.0.0", "1.00.0"), ("1.0.0+a", "1.0.0+b"), ("1.0.0-", "1.0.0")])
  func differentTextsAreNeverEqual(_ left: String, _ right: String) {
    #expect(VersionOrder.isBefore(left, right) != VersionOrder.isBefore(right, left))
  }

  @Test func theLatestVersionIsTheGreatest() async throws {
    let catalog = PatternCatalog(store: InMemoryStateStore { Timestamp(milliseconds: 0) })
    for version in Self.order.shuffled() {
      let pattern = PatternDefinition(name: "p", version: version, agents: AgentRequirement(capabilities: ["text"]))
      #expect(try await catalog.put(pattern))
    }
    #expect(try await catalog.pattern("p", version: nil)?.version == "main")
    #expect(try await catalog.pattern("p", version: "1.0")?.version == "1.0")
    #expect(try await catalog.pattern("p", version: "3.0") == nil)
    #expect(try await catalog.pattern("q", version: nil) == nil)
  }
}
