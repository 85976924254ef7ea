import Foundation
import ParallaxHA
import ParallaxRedis
import ParallaxRedisStores
import ParallaxState
import ParallaxTesting
import TestSupport
import Testing

/// The client checks the requirements of the nodes when it connects.
@Suite(.serialized) struct StoreRequirementsTests {
  /// The rule in docs/redis.md.
  private static func documentedRule() throws -> String {
    let page = try String(contentsOf: ProjectLayout.root.appending(path: "docs/redis.md"), encoding: .utf8)
    let line = try #require(page.split(separator: "\n").first { $0.hasPrefix("user parallax on >password") })
    return String(line.dropFirst("user ".count))
  }

  /// Connects as a user with a rule and runs the body; returns the error.
  private func refusal(of rule: String, _ options: RedisServer.Options = .init()) async throws -> RedisError? {
    let keys = try KeySpace()
    var options = options
    options.users = [rule]
    return try await RedisServer.with(options) { server in
      let configuration = try server.configuration { configuration in
        configuration.username = "parallax"
        configuration.password = "password"
        configuration.requirements = StoreRequirements.all(keys: keys, requiresReplicas: true)
      }
      return try await withClient(configuration, scripts: RedisStateStore.scripts) { client in
        try await redisError { try await client.send(RedisCommand("GET", keys.leader)) }
      }
    }
  }

  @Test func theDocumentedRightsAreEnough() async throws {
    let found = try await refusal(of: Self.documentedRule())
    #expect(found == nil)
  }

  @Test func theProbesLeaveNothingBehind() async throws {
    let keys = try KeySpace()
    try await withServerAndClient(.init(), { $0.requirements = StoreRequirements.all(keys: keys, requiresReplicas: true) }) { _, client in
      let left = try await client.send(RedisCommand("KEYS", "*")).array
      #expect(left == [])
    }
  }

  @Test(
    "A missing right is refused at once, and named",
    arguments: [
      ("resetchannels", "PUBLISH on the channel parallax:ha:leader"), ("-hset", "HSET on parallax:execution:%probe"),
      ("-evalsha", "EVALSHA"), ("-time", "TIME"), ("-persist", "PERSIST"), ("-xgroup|create", "XGROUP"),
      ("resetkeys ~parallax:*", "HSET on {parallax:execution:%probe}:tasks"), ("resetkeys ~other:*", "GET on parallax:ha:leader"),
      ("resetkeys %R~parallax:* %R~{parallax:*", "SET on parallax:idempotency:%probe"),
    ])
  func missing(_ change: String, _ named: String) async throws {
    let rule = try Self.documentedRule()
    let error = try #require(try await refusal(of: "\(rule) \(change)"))
    #expect(error.code == .invalidConfiguration)
    #expect(error.message.contains(named), "\(error)")
    #expect(error.serverMessage?.hasPrefix("NOPERM") == true)
  }

  private static let oldServer = ProcessInfo.processInfo.environment["PARALLAX_TEST_OLD_REDIS_SERVER"]

  @Test("A Redis that is too old is refused with both versions", .enabled(if: oldServer != nil))
  func old() async throws {
    let keys = try KeySpace()
    try await RedisServer.with(.init(executable: Self.oldServer)) { server in
      let configuration = try server.configuration { $0.requirements = StoreRequirements.all(keys: keys, requiresReplicas: false) }
      try await withClient(configuration) { client in
        let error = try #require(try await redisError { try await client.send(RedisCommand("GET", keys.leader)) })
        #expect(error.code == .invalidConfiguration)
        #expect(error.message.contains("is Redis 6.2") && error.message.contains("needs Redis 7.0 or later"))
      }
    }
  }

  @Test func aRevokedChannelRightLosesTheHintNotTheWrite() async throws {
    try await withStore { test in
      let store = RedisElectionStore(client: test.client, keys: test.keys)
      let record = ElectionRecord(
        clusterID: "c", leader: "node-a", incarnation: "a1", term: 5, sequence: 3, leaseDuration: .seconds(15))
      _ = try await test.client.send(RedisCommand("ACL", "SETUSER", "default", "resetchannels"))
      // The hint is lost, but the write is stored and acknowledged.
      guard case .written = try await store.compareAndSet(record, expecting: nil) else {
        Issue.record("the record is not written")
        return
      }
      #expect(try await store.read()?.record == record)
    }
  }
}
