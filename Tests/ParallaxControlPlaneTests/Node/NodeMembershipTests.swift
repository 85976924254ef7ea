import Foundation
import Logging
import ParallaxConcurrency
import ParallaxHA
import ParallaxTesting
import ServiceLifecycleTestKit
import TestSupport
import Testing

@testable import ParallaxControlPlane

/// The service around a node's membership, on a manual clock.
@Suite(.timeLimit(.minutes(1))) struct NodeMembershipTests {
  private static let instant = Date(timeIntervalSince1970: 1_768_473_000)

  private let clock = ManualClock()
  private let store = InMemoryMembershipStore()
  private let address = Deferred<String>()
  private let seen = Recorder<String>()
  private let service: NodeMembership

  init() throws {
    let clock = MonotonicClock(clock)
    let any = AnyMembershipStore(store)
    service = NodeMembership(
      members: NodeMembers(
        store: any, session: World.session, clusterID: "cluster", address: "unknown:1", version: "1",
        settings: try MembershipSettings(checkInterval: .seconds(5)), clock: clock,
        logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() },
        report: { MemberReport() }),
      storeGuard: StoreGuard(store: any, nodeID: World.session.nodeID, clusterID: "cluster", keyPrefix: "parallax:", clock: clock),
      address: { [address] in try await address.value() }, onAddress: { [seen] address in seen.add(address) },
      onLeft: { [seen] in seen.add("left") })
  }

  private static func record(_ session: NodeSession, _ sequence: Int64 = 1, cluster: String? = "cluster") -> MemberRecord {
    MemberRecord(
      session: session, clusterID: cluster, address: "10.0.0.2:8080", sequence: sequence, report: MemberReport(), startedAt: instant,
      lastHeartbeat: instant, version: "1")
  }

  private var events: [String] { seen.all }
  private var ownRecord: MemberRecord? { store.members().records.first { $0.session == World.session } }

  @Test func nothingIsWrittenBeforeTheAddressIsKnown() async throws {
    try await testGracefulShutdown { trigger in
      async let run: Void = service.run()
      async let check: Void = service.check()
      for _ in 0..<100 { await Task.yield() }
      #expect(store.members().records.isEmpty && events.isEmpty)
      address.set("10.0.0.1:8080")
      try await check
      try await eventually("the node's field") { ownRecord != nil }
      #expect(ownRecord?.address == "10.0.0.1:8080")
      #expect(events == ["10.0.0.1:8080"])
      trigger.triggerGracefulShutdown()
      try await run
      #expect(store.members().records.isEmpty)
      #expect(events == ["10.0.0.1:8080", "left"])
    }
  }

  @Test func aNodeThatStopsBeforeItsAddressIsKnownNeverJoins() async throws {
    try await testGracefulShutdown { trigger in
      async let run: Void = service.run()
      trigger.triggerGracefulShutdown()
      try await run
    }
    #expect(store.members().records.isEmpty && events.isEmpty)
  }

  /// A crash must not look like a departure to the other nodes.
  @Test func aCancelledNodeKeepsItsFieldWithoutAnEvent() async throws {
    address.set("10.0.0.1:8080")
    let run = Task { [service] in try await service.run() }
    try await eventually("the node's field") { ownRecord != nil }
    run.cancel()
    try await run.value
    #expect(ownRecord != nil)
    #expect(events == ["10.0.0.1:8080"])
  }

  @Test func theFieldIsRenewedEveryInterval() async throws {
    address.set("10.0.0.1:8080")
    let run = Task { [service] in try await service.run() }
    for sequence in 1...3 {
      try await eventually("heartbeat \(sequence)") { ownRecord?.sequence == Int64(sequence) }
      try await clock.sleepers()
      clock.advance(by: .milliseconds(4_999))
      for _ in 0..<100 { await Task.yield() }
      #expect(ownRecord?.sequence == Int64(sequence))
      clock.advance(by: .milliseconds(1))
    }
    run.cancel()
    try await run.value
  }

  @Test func aLiveMemberOfAnotherClusterPreventsTheStart() async throws {
    address.set("10.0.0.1:8080")
    _ = store.write(Self.record(World.other, cluster: "other"), replacing: nil)
    let run = Task { [service] in try await service.run() }
    let check = Task { [service] in try await service.check() }
    // The heartbeats, and the guard between two reads.
    try await clock.sleepers(atLeast: 2)
    _ = store.write(Self.record(World.other, 2, cluster: "other"), replacing: nil)
    clock.advance(by: .milliseconds(500))
    let error = await #expect(throws: MembershipError.self) { try await check.value }
    #expect(error?.code == .storeInUse && error?.message.contains("node-b") == true)
    run.cancel()
    try await run.value
  }

  @Test func aTwinIsFoundAtTheNextHeartbeatAndNamed() async throws {
    address.set("10.0.0.1:8080")
    let run = Task { [service] in try await service.run() }
    let watch = Task { [service] in try await service.watchForTwin() }
    try await eventually("the node's field") { ownRecord != nil }
    try await clock.sleepers()
    let twin = NodeSession(nodeID: World.session.nodeID, incarnation: "ffffffffffffffff")
    _ = store.write(Self.record(twin), replacing: World.session.incarnation)
    clock.advance(by: .seconds(5))
    let error = await #expect(throws: MembershipError.self) { try await watch.value }
    #expect(error?.code == .storeInUse)
    #expect(error?.message.contains("10.0.0.2:8080") == true && error?.message.contains("node.id") == true)
    // A later call fails as well.
    await #expect(throws: MembershipError.self) { try await service.watchForTwin() }
    run.cancel()
    try await run.value
  }
}
