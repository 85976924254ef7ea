import ParallaxState
import ParallaxTesting
import Testing

@Suite(.timeLimit(.minutes(1))) struct InMemoryInboxStoreTests {
  @Test("The in-memory inboxes keep the rules", arguments: InboxConformance.checks)
  func conforms(to check: InboxConformance.Check) async throws {
    try await check.run { InMemoryInboxStore(capacity: $0) }
  }
}
