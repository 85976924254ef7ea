import Foundation
import ParallaxRedis
import TestSupport
import Testing

/// A continuous load while the servers change.
///
/// `PARALLAX_ENDURANCE_COMMANDS` sets the number of commands of each test; `make endurance` sends a million in all.
@Suite("Endurance", .serialized, .timeLimit(.minutes(10)))
struct EnduranceTests {
  private static let isLong = ProcessInfo.processInfo.environment["PARALLAX_ENDURANCE_COMMANDS"] != nil
  private static let commands = ProcessInfo.processInfo.environment["PARALLAX_ENDURANCE_COMMANDS"].flatMap { Int($0) } ?? 20_000

  /// The errors that a caller may receive while servers fail over.
  private static let documented: Set<String> = ["unknownOutcome", "timedOut", "connectionFailed"]

  @Test("Sentinel: a failover by command loses nothing, the master's death only unreplicated writes; all replies are correct")
  func sentinel() async throws {
    try await RedisSentinelDeployment.with { servers in
      var configuration = servers.configuration
      configuration.commandTimeout = .seconds(10)
      let report = try await withClient(configuration) { client in
        try await EnduranceLoad.run(
          Self.commands, on: client,
          events: [
            ("failover by command", { _ = try await servers.failover() }),
            (
              "master killed",
              {
                let master = try servers.killPrimary()
                _ = try await servers.awaitPrimary(otherThan: master)
              }
            ),
          ])
      }
      Self.judge(report, "Sentinel")
    }
  }

  @Test("Cluster: failovers and moving slots; all replies are correct, and only the dead master's last writes can be lost")
  func cluster() async throws {
    try await RedisClusterDeployment.with { servers in
      var configuration = servers.configuration
      configuration.commandTimeout = .seconds(10)
      let report = try await withClient(configuration) { client in
        try await EnduranceLoad.run(
          Self.commands, on: client,
          events: [
            ("failover by command", { _ = try await servers.failover(ofSlot: 0) }),
            (
              "reshard",
              {
                let masters = try servers.primaries()
                _ = try await servers.reshard(500, from: masters[0], to: masters[1])
              }
            ),
            (
              "master killed",
              {
                let master = try servers.primary(ofSlot: 16_383)
                master.kill()
                _ = try await servers.awaitPrimary(ofSlot: 16_383, otherThan: master)
              }
            ),
          ])
      }
      Self.judge(report, "Cluster")
    }
  }

  private static func judge(_ report: EnduranceReport, _ name: String) {
    print("\(name): \(report)")
    #expect(report.wrongReplies.isEmpty)
    #expect(report.errors.keys.allSatisfy { documented.contains($0) }, "\(report.errors)")
    for (event, longest) in report.silences { #expect(longest < .seconds(10), "\(event)") }
    // Other tests run in this process during the short form.
    if isLong, let first = report.residentMegabytes.dropFirst(2).first, let last = report.residentMegabytes.last {
      #expect(last <= first + 10, "\(report.residentMegabytes)")
    }
  }
}
