import Foundation
import Logging
import ParallaxConcurrency
import ParallaxHA
import ParallaxTesting
import ServiceLifecycleTestKit
import Synchronization
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

  /// Without an interval of heartbeats between.
  @Test func ofNodesThatStopAtTheSameTimeTheLastHasNoSuccessor() async throws {
    let stopping = Mutex<Set<NodeSession>>([])
    let nodes = try [World.session, World.other].map { session in
      NodeMembers(
        store: AnyMembershipStore(store), session: session, clusterID: "cluster", address: "\(session.nodeID):1", version: "1",
        settings: try MembershipSettings(checkInterval: .seconds(5)), clock: MonotonicClock(clock),
        logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() },
        report: { MemberReport(health: stopping.withLock { $0.contains(session) } ? .unhealthy : .healthy) })
    }
    try await testGracefulShutdown { trigger in
      async let runs: Void = withThrowingTaskGroup(of: Void.self) { group in
        for node in nodes { group.addTask { try await node.run() } }
        try await group.waitForAll()
      }
      try await eventually("both fields") { store.members().records.count == 2 }
      for node in nodes { #expect(await node.refreshedView().healthyCount == 2) }
      var successors: [[NodeSession]] = []
      for node in nodes {
        stopping.withLock { _ = $0.insert(node.session) }
        successors.append(await node.announceStop(within: .seconds(1), clock: NodeClock(clock)))
      }
      #expect(successors == [[World.other], []])
      trigger.triggerGracefulShutdown()
      try await runs
    }
  }

  @Test func aStoreThatDoesNotAnswerDelaysAStopByTheLimit() async throws {
    let node = NodeMembers(
      store: AnyMembershipStore(StuckMembershipStore()), session: World.session, clusterID: "cluster", address: "a:1", version: "1",
      settings: try MembershipSettings(checkInterval: .seconds(5)), clock: MonotonicClock(clock),
      logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }, report: { MemberReport() })
    try await testGracefulShutdown { trigger in
      let run = Task { try await node.run() }
      // The interval of the heartbeats, and the time-out of the first write.
      try await clock.sleepers(atLeast: 2)
      let decisions = Recorder<[NodeSession]>()
      let decision = Task { decisions.add(await node.announceStop(within: .milliseconds(100), clock: NodeClock(clock))) }
      defer { decision.cancel() }
      try await clock.sleepers(atLeast: 3)
      clock.advance(by: .milliseconds(100))
      try await eventually("the decision") { decisions.all == [[]] }
      trigger.triggerGracefulShutdown()
      try await clock.advance { try await run.value }
    }
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

/// A store that answers nothing.
private struct StuckMembershipStore: MembershipStore {
  private let answer = Deferred<Void>()

  func write(_ record: MemberRecord, replacing incarnation: String?) async throws -> MemberWriteOutcome {
    try await answer.value()
    return .renewed
  }

  func members() async throws -> MembershipSnapshot {
    try await answer.value()
    return MembershipSnapshot(records: [], unreadable: [:])
  }

  func remove(_ session: NodeSession) async throws { try await answer.value() }

  func markEnded(_ session: NodeSession, _ end: MemberEnd) async throws -> Bool {
    try await answer.value()
    return false
  }
}
