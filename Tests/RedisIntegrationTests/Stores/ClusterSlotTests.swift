import ParallaxRedis
import ParallaxRedisStores
import ParallaxTesting
import TestSupport
import Testing

/// Redis Cluster refuses a command or script with keys of several slots, even if one server has all the slots.
@Suite struct ClusterSlotTests {
  @Test func theStoreKeepsTheRulesOnAServerInClusterMode() async throws {
    try await withServerAndClient(.init(arguments: ["--cluster-enabled", "yes"]), scripts: RedisStateStore.scripts) { _, client in
      _ = try await client.send(RedisCommand("CLUSTER", "ADDSLOTSRANGE", 0, 16_383))
      try await eventually("a cluster that is ready", within: .seconds(10)) {
        try await client.send(RedisCommand("CLUSTER", "INFO")).string?.contains("cluster_state:ok") == true
      }
      let error = await #expect(throws: RedisError.self) { try await client.send(RedisCommand("MGET", "a", "b")) }
      #expect(error?.serverCode == "CROSSSLOT")

      for (number, check) in StateStoreConformance.checks.enumerated() {
        let keys = try KeySpace(prefix: "check \(number):")
        await #expect(throws: Never.self, "\(check)") {
          try await check.run { RedisStateStore(client: client, keys: keys, logger: quietLogger) }
        }
      }
    }
  }
}
