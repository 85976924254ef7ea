import ParallaxHA
import ParallaxRedis
import ParallaxRedisStores
import ParallaxState
import ParallaxTesting
import TestSupport
import Testing

/// The conformance of every store on every deployment of Redis, for a user with the documented rights only.
@Suite(.serialized, .timeLimit(.minutes(2))) struct DeploymentConformanceTests {
  @Test("All stores keep their rules", arguments: Deployment.possible)
  func conforms(on deployment: Deployment) async throws {
    let scripts =
      RedisStateStore.scripts + RedisMembershipStore.scripts + RedisElectionStore.scripts + RedisInboxStore.scripts
    try await deployment.with { configuration in
      try await withClient(configuration, scripts: scripts) { client in
        var faults: [String] = []
        var count = 0
        // Each check has keys of its own, so that all can share the servers.
        func run(_ name: String, _ body: (KeySpace) async throws -> Void) async throws {
          count += 1
          do {
            try await body(try KeySpace(prefix: "parallax:\(count):"))
          } catch {
            faults.append("\(name): \(error)")
          }
        }
        for check in StateStoreConformance.checks {
          try await run("state, \(check)") { keys in
            try await check.run { RedisStateStore(client: client, keys: keys, logger: quietLogger) }
          }
        }
        for check in ElectionStoreConformance.checks {
          try await run("election, \(check)") { keys in try await check.run { RedisElectionStore(client: client, keys: keys) } }
        }
        for check in MembershipStoreConformance.checks {
          try await run("membership, \(check)") { keys in try await check.run { RedisMembershipStore(client: client, keys: keys) } }
        }
        for check in InboxConformance.checks {
          try await run("inbox, \(check)") { keys in
            try await check.run { RedisInboxStore(client: client, keys: keys, capacity: $0, logger: quietLogger) }
          }
        }
        for check in EventBusConformance.checks {
          try await run("events, \(check)") { keys in try await check.run { RedisEventBus(client: client, keys: keys, logger: quietLogger) }
          }
        }
        #expect(count > 60)
        #expect(faults.isEmpty)
      }
    }
  }
}
