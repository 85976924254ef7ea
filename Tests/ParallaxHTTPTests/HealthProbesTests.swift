import ParallaxAPI
import ParallaxTesting
import Testing

@testable import ParallaxHTTP

@Suite("Health probes", .timeLimit(.minutes(1)))
struct HealthProbesTests {
  private struct Broken: Error, CustomStringConvertible {
    var description: String { "cable cut" }
  }

  private static func probes(
    _ checks: [HealthCheck] = [], stage: HealthProbes.Stage = .running, clock: ManualClock = ManualClock()
  ) -> HealthProbes {
    HealthProbes(nodeID: "worker-1", version: "1.2.3", stage: stage, checks: checks, clock: clock)
  }

  private static func check(_ purpose: HealthCheck.Purpose, _ outcome: HealthCheck.Outcome) -> HealthCheck {
    HealthCheck("disk", for: purpose) { outcome }
  }

  @Test("A service without checks is healthy, with its name and uptime")
  func withoutChecks() async {
    let clock = ManualClock()
    let probes = Self.probes(clock: clock)
    clock.advance(by: .seconds(3))
    let document = await probes.document(for: .health)
    #expect(
      document
        == HealthDocument(
          status: .healthy, nodeId: "worker-1", version: "1.2.3", uptime: .seconds(3), checks: ["node": HealthDocument.Check(.healthy)]))
  }

  @Test("A stage other than running fails readiness with the reason, and not liveness")
  func stage() async {
    let probes = Self.probes(stage: .starting(reason: "migrating"))
    #expect(await probes.document(for: .ready).checks == ["node": HealthDocument.Check(.unhealthy, detail: "starting: migrating")])
    #expect(await probes.document(for: .live).status == .healthy)
    probes.stage = .running
    #expect(await probes.document(for: .ready).status == .healthy)
    probes.stage = .draining
    #expect(await probes.document(for: .ready).checks == ["node": HealthDocument.Check(.unhealthy, detail: "draining")])
    #expect(await probes.document(for: .health).status == .unhealthy)
  }

  @Test(
    "A failing check fails the probes that it counts for",
    arguments: [
      (HealthCheck.Purpose.liveness, HealthStatus.unhealthy, HealthStatus.healthy, HealthStatus.unhealthy),
      (.readiness, .healthy, .unhealthy, .unhealthy),
      (.information, .healthy, .healthy, .degraded),
    ])
  func purposes(_ purpose: HealthCheck.Purpose, live: HealthStatus, ready: HealthStatus, health: HealthStatus) async {
    let probes = Self.probes([Self.check(purpose, .unhealthy("full"))])
    #expect(await probes.document(for: .live).status == live)
    #expect(await probes.document(for: .ready).status == ready)
    #expect(await probes.document(for: .health).status == health)
  }

  @Test("A degraded check leaves the service ready, and readiness shows only what fails")
  func degraded() async {
    let probes = Self.probes([
      Self.check(.readiness, .degraded("slow")), HealthCheck("queue") { .healthy },
    ])
    let ready = await probes.document(for: .ready)
    #expect(ready.status == .degraded)
    #expect(ready.checks == ["node": HealthDocument.Check(.healthy)])
    let health = await probes.document(for: .health)
    #expect(health.status == .degraded)
    #expect(health.checks["disk"] == HealthDocument.Check(.degraded, detail: "slow"))
    #expect(health.checks.count == 3)
  }

  @Test("A check that throws is unhealthy, with the error")
  func throwing() async {
    let document = await Self.probes([HealthCheck("link") { throw Broken() }]).document(for: .ready)
    #expect(document.checks == ["link": HealthDocument.Check(.unhealthy, detail: "failed: cable cut")])
  }

  @Test("A check that takes too long is cancelled and unhealthy; the others answer")
  func slow() async throws {
    let clock = ManualClock()
    let slow = HealthCheck("slow", timeout: .seconds(2)) {
      try await clock.sleep(until: clock.now.advanced(by: .seconds(60)))
      return .healthy
    }
    let probes = Self.probes([slow, Self.check(.readiness, .unhealthy("full"))], clock: clock)
    async let pending = probes.document(for: .ready)
    try await clock.sleepers(atLeast: 2)
    clock.advance(by: .seconds(2))
    let document = await pending
    #expect(
      document.checks == [
        "slow": HealthDocument.Check(.unhealthy, detail: "no answer within 2.0 seconds"),
        "disk": HealthDocument.Check(.unhealthy, detail: "full"),
      ])
  }
}
