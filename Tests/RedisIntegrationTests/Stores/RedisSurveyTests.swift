import Foundation
import NIOPosix
import ParallaxConcurrency
import ParallaxHA
import ParallaxRedis
import ParallaxRedisStores
import ParallaxTesting
import TestSupport
import Testing

/// The facts that the diagnosis gathers, on every deployment.
@Suite(.serialized, .timeLimit(.minutes(2))) struct RedisSurveyTests {
  private static func facts(
    of configuration: RedisConfiguration, clock: MonotonicClock = MonotonicClock(ContinuousClock())
  ) async throws -> RedisFacts {
    await RedisSurvey(
      configuration: configuration, keys: try KeySpace(), requiresReplicas: false, eventLoopGroup: MultiThreadedEventLoopGroup.singleton,
      clock: clock
    ).facts()
  }

  @Test("The least rights answer all but INFO and CONFIG, and every other fact is known", arguments: Deployment.possible)
  func everyDeployment(deployment: Deployment) async throws {
    try await deployment.with { configuration in
      // However busy the machine is, the survey's limit does not cut the answers off.
      let facts = try await Self.facts(of: configuration, clock: MonotonicClock(ManualClock()))
      #expect(facts.failure == nil)
      let isCluster = [.cluster, .protectedCluster].contains(deployment)
      #expect(facts.servers.count == (isCluster ? 3 : 1))
      for server in facts.servers {
        #expect(server.failure == nil && server.role == .known(.master) && server.rights == .known(.init()), "\(server)")
        #expect(server.identity.value?.version.isEmpty == false && server.latency.value != nil)
        let offset = try #require(server.clock.value)
        #expect(offset.offset > .seconds(-1) && offset.offset < .seconds(1))
        guard configuration.username != nil else {
          #expect(server.info.value?["maxmemory_policy"] == "noeviction" && server.settings.value?["save"] == "")
          continue
        }
        #expect(server.info == .unknown("the user parallax may not use INFO; grant it with ACL SETUSER parallax +info"))
        #expect(
          server.settings == .unknown("the user parallax may not use CONFIG GET; grant it with ACL SETUSER parallax +config|get"))
      }
      if isCluster {
        let slots = try #require(facts.slots.value)
        #expect(slots.coveredSlots == RedisClusterReport.slotCount && slots.failedSlots == 0 && slots.state == "ok")
      } else {
        #expect(facts.slots.value == nil)
      }
      #expect(facts.roundTrip.value != nil && facts.election == .known(nil) && facts.members.value?.records == [])
    }
  }

  private static let oldServer = ProcessInfo.processInfo.environment["PARALLAX_TEST_OLD_REDIS_SERVER"]

  @Test("A Redis that is too old answers with its version", .enabled(if: oldServer != nil))
  func old() async throws {
    try await RedisServer.with(.init(executable: Self.oldServer)) { server in
      let facts = try await Self.facts(of: try server.configuration())
      #expect(facts.servers.first?.identity == .known(.init(name: "redis", version: "6.2.5")))
    }
  }

  @Test func aClusterThatLostAMasterHasSlotsWithout() async throws {
    try await RedisClusterDeployment.with(.init(replicasPerPrimary: 0)) { deployment in
      deployment.nodes[0].kill()
      try await eventually("the failure of its slots", within: .seconds(30)) {
        let facts = try await Self.facts(of: deployment.configuration)
        guard let slots = facts.slots.value else { return false }
        return slots.state == "fail" && slots.failedSlots > 0 && facts.servers.contains { $0.failure != nil }
          && facts.servers.contains { $0.latency.value != nil }
      }
    }
  }

  @Test func sentinelsThatDoNotAnswerAreTheFailure() async throws {
    let port = try LoopbackPort.free()
    let began = ContinuousClock.now
    let facts = try await Self.facts(
      of: RedisConfiguration(deployment: .sentinel(.init(masterName: "mymaster", sentinels: [.host("127.0.0.1", port: port)]))))
    #expect(facts.servers.first?.failure != nil)
    #expect(began.duration(to: .now) < RedisSurvey.limit + .seconds(2))
  }

  @Test func aSurveyLeavesNothingBehindAndNamesNoSecret() async throws {
    try await RedisServer.with(.init(password: "a-secret")) { server in
      let facts = try await Self.facts(of: try server.configuration())
      #expect(facts.servers.first?.settings.value?.isEmpty == false)
      #expect(!"\(facts)".contains("a-secret"))
      #expect(try server.command("KEYS", "*").texts == [])
    }
  }

  @Test func aHungServerEndsTheSurveyInItsTime() async throws {
    try await RedisServer.with { server in
      server.pause()
      let began = ContinuousClock.now
      let facts = try await Self.facts(of: try server.configuration())
      server.resume()
      #expect(began.duration(to: .now) < RedisSurvey.limit + .seconds(2))
      #expect(facts.servers.first?.failure != nil && facts.roundTrip.value == nil && facts.members.value == nil)
    }
  }
}
