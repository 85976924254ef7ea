import Foundation
import Logging
import NIOCore
import ParallaxAPI
import ParallaxConcurrency
import ParallaxHA
import ParallaxMetrics
import ParallaxState
import ParallaxTesting
import ServiceLifecycleTestKit
import TestSupport
import Testing

@testable import ParallaxControlPlane

/// The start of a node and the upkeep of its state in the store, on a manual clock.
@Suite(.timeLimit(.minutes(1))) struct NodeLifecycleTests {
  /// In-memory stores whose state can be unreachable and whose connections can be replaced.
  private struct ShakyBackend: Backend {
    let store = ObservedStore()
    let resets = Broadcast<StoreReset>()
    let election: any ElectionStore = InMemoryElectionStore()
    let membership: any MembershipStore = InMemoryMembershipStore()
    let inboxes: any InboxStore = InMemoryInboxStore()
    let events: any EventBus = InMemoryEventBus()

    var state: any StateStore { store }
    var traits: BackendTraits { BackendTraits(isShared: true, losesAcknowledgedWrites: true) }

    func storeResets() -> AsyncStream<StoreReset> { resets.subscribe(buffering: 1).stream() }
  }

  private static let pattern = PatternDefinition(name: "analyze", agents: AgentRequirement(capabilities: ["analysis"]))
  private static let instant = Date(timeIntervalSince1970: 1_768_473_000)

  private let clock = ManualClock()
  private let backend = ShakyBackend()
  private let readyAt = Recorder<Duration>()
  private let assembly: NodeAssembly
  private let lifecycle: NodeLifecycle

  init() throws {
    var configuration = NodeConfiguration(nodeID: "node-a")
    configuration.node.address = "10.0.0.1:8080"
    configuration.highAvailability.enabled = true
    configuration.highAvailability.memberHealth.checkInterval = .seconds(4)
    configuration.highAvailability.memberHealth.unhealthyThreshold = 3
    assembly = try NodeAssembly(
      configuration: configuration, backend: backend, registry: MetricsRegistry(), onStuckDuty: {}, clock: NodeClock(clock),
      logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    assembly.address.bound(try SocketAddress(ipAddress: "10.0.0.1", port: 8_080))
    lifecycle = assembly.makeLifecycle(shippedPatterns: ShippedPatterns([Self.pattern])) { [readyAt, clock] in
      readyAt.add(clock.now.sinceStart)
    }
  }

  private var store: ObservedStore { backend.store }
  private var health: NodeHealth { assembly.health }
  private var isReady: Bool { readyAt.count > 0 }

  /// Runs the membership and the lifecycle of the node until the body ends.
  private func living(_ body: @escaping @Sendable () async throws -> Void) async throws {
    try await running([assembly.membership, lifecycle], body)
  }

  @Test func aNodeWhoseStoreAnswersIsReadyAtOnce() async throws {
    try await living {
      try await eventually("readiness") { isReady }
      #expect(readyAt.all == [.zero])
      #expect(health.stage == .running && health.readiness().status == 200)
      #expect(assembly.started.current != nil)
      #expect(store.versions(ofPattern: "analyze") == [Self.pattern])
      #expect(store.sessions().keys.map(\.nodeID) == ["node-a"])
    }
  }

  @Test func aSilentStoreIsTriedFourTimesASecondAndIsTheReason() async throws {
    store.refuseOpening(true)
    try await living {
      for attempt in 1...4 {
        try await eventually("attempt \(attempt)") { store.openings == attempt }
        // The heartbeat and the next attempt.
        try await clock.sleepers(atLeast: 2)
        let (status, document) = health.readiness()
        #expect(status == 503 && document.checks["node"]?.detail?.contains("no answer") == true, "\(document)")
        #expect(assembly.started.current == nil)
        clock.advance(by: .milliseconds(249))
        for _ in 0..<100 { await Task.yield() }
        #expect(store.openings == attempt)
        if attempt == 4 { store.refuseOpening(false) }
        clock.advance(by: .milliseconds(1))
      }
      try await eventually("readiness") { isReady }
      #expect(readyAt.all == [.seconds(1)])
    }
  }

  /// The interval is a quarter of the detection time of the other nodes: here 3 of 12 seconds.
  @Test func theSessionIsRenewedFourTimesPerDetectionWindow() async throws {
    try await living {
      try await eventually("readiness") { isReady }
      for second in 1...12 {
        // The heartbeat, the beat of the node's loop, and the next opening.
        try await clock.sleepers(atLeast: 3)
        clock.advance(by: .seconds(1))
        let expected = 1 + second / 3
        try await eventually("opening \(expected) after \(second) s") { store.openings == expected }
      }
    }
  }

  /// Advances the clock by seconds, one by one, with all that happens in each.
  private func pass(_ seconds: Int) async throws {
    for _ in 0..<seconds {
      try await clock.sleepers(atLeast: 3)
      clock.advance(by: .seconds(1))
      for _ in 0..<100 { await Task.yield() }
    }
    assembly.dispatcher.handle(.timePassed)
  }

  /// The members can be written all the time.
  @Test func theGraceOfAnAgentBeginsAnewOnceTheSessionCanBeOpenedAgain() async throws {
    try await living {
      try await eventually("readiness") { isReady }
      let dispatcher = assembly.dispatcher
      dispatcher.handle(.agent(.registered("a", epoch: 1, capabilities: ["analysis"], limit: 1, activeTasks: [])))
      store.refuseOpening(true)
      try await pass(20)
      #expect(health.condition.isCutOff)
      dispatcher.handle(.agent(.left("a", epoch: 1, graceful: false)))
      try await pass(60)
      #expect(dispatcher.agent("a") != nil)
      store.refuseOpening(false)
      try await eventually("the end of the outage") {
        try await pass(1)
        return !health.condition.isCutOff
      }
      try await pass(25)
      #expect(dispatcher.agent("a") != nil)
      try await pass(10)
      #expect(dispatcher.agent("a") == nil)
    }
  }

  @Test func aStoreThatLostTheNodeGetsItsPatternsAgain() async throws {
    try await living {
      try await eventually("readiness") { isReady }
      try await clock.sleepers(atLeast: 3)
      let session = assembly.session
      store.close(session, generation: try #require(store.sessions()[session]))
      store.forgetPatterns()
      clock.advance(by: .seconds(3))
      try await eventually("the patterns") { store.versions(ofPattern: "analyze") == [Self.pattern] }
      #expect(store.sessions()[session] != nil)
    }
  }

  @Test func aResetOfTheStoreOpensTheSessionAtOnce() async throws {
    try await living {
      try await eventually("readiness") { isReady }
      try await eventually("attention to resets") { backend.resets.subscriberCount == 1 }
      store.forgetPatterns()
      backend.resets.send(StoreReset { .zero })
      try await eventually("the opening") { store.openings == 2 }
      try await eventually("the patterns") { store.versions(ofPattern: "analyze") == [Self.pattern] }
      #expect(clock.now.sinceStart == .zero)
    }
  }

  @Test func aTwinEndsTheNode() async throws {
    await #expect(throws: MembershipError.self) {
      try await living {
        try await eventually("readiness") { isReady }
        try await clock.sleepers(atLeast: 3)
        let twin = MemberRecord(
          session: NodeSession(nodeID: "node-a", incarnation: "ffffffffffffffff"), clusterID: nil, address: "10.0.0.2:8080", sequence: 1,
          report: MemberReport(), startedAt: Self.instant, lastHeartbeat: Self.instant, version: "1")
        _ = try await backend.membership.write(twin, replacing: assembly.session.incarnation)
        clock.advance(by: .seconds(4))
        try await Deferred<Void>().value()
      }
    }
  }

  @Test func aNodeThatStopsDuringItsStartIsNotReady() async throws {
    store.refuseOpening(true)
    try await testGracefulShutdown { trigger in
      try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask { try await assembly.membership.run() }
        group.addTask { try await lifecycle.run() }
        try await eventually("the first attempt") { store.openings == 1 }
        trigger.triggerGracefulShutdown()
        try await group.waitForAll()
      }
    }
    #expect(!isReady && assembly.started.current == nil)
  }
}
