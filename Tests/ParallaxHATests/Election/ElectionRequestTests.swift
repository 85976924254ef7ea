import ParallaxHA
import ParallaxTesting
import Testing

@Suite struct ElectionRequestTests {
  @Test func stepDownHandsOverAtOnce() async throws {
    try await withCluster(of: 3) { cluster in
      let first = try await cluster.leader()
      let other = (first + 1) % 3
      let handover = try await cluster.elections[other].stepDown()
      #expect(handover.from == "node-\(first)")
      #expect(handover.to != "node-\(first)")
      #expect(handover.duration == .zero)
      #expect(cluster.clock.now.sinceStart == .zero)
    }
  }

  @Test func stepDownToANodeMakesItTheLeader() async throws {
    try await withCluster(of: 5) { cluster in
      let first = try await cluster.leader()
      let target = (first + 2) % 5
      let handover = try await cluster.elections[first].stepDown(to: "node-\(target)")
      #expect(handover.to == "node-\(target)")
      try await eventually { cluster.elections[target].isLeader }
    }
  }

  @Test func aMissingTargetDelaysOthersOnlyByTheReservation() async throws {
    try await withCluster(of: 2) { cluster in
      let first = try await cluster.leader()
      let handover = try await cluster.passTime { try await cluster.elections[1 - first].stepDown(to: "nobody") }
      #expect(handover.duration >= .seconds(10) && handover.duration <= .seconds(13))
    }
  }

  @Test func theOnlyNodeLeadsAgainAfterItsCooldown() async throws {
    try await withCluster(of: 1) { cluster in
      _ = try await cluster.leader()
      let handover = try await cluster.passTime { try await cluster.elections[0].stepDown() }
      #expect(handover.to == "node-0")
      #expect(handover.duration >= .seconds(15))
    }
  }

  @Test func forceReplacesALeaderAndIsIdempotentInATerm() async throws {
    try await withCluster(of: 2) { cluster in
      let first = try await cluster.leader()
      let handover = try await cluster.elections[1 - first].elect(force: true)
      #expect(handover.from == "node-\(first)")
      #expect(handover.to == "node-\(1 - first)")
    }
  }

  @Test func forceOnAHangingLeaderWaitsForItsLease() async throws {
    try await withCluster(of: 2) { cluster in
      let first = try await cluster.leader()
      let token = cluster.elections[first].fencingToken
      cluster.stores[first].faults.hangs = true
      cluster.stores[first].faults.losesHints = true
      let handover = try await cluster.passTime { try await cluster.elections[1 - first].elect(force: true) }
      #expect(handover.duration > .seconds(10))
      #expect(cluster.elections[first].fencingToken == nil)
      #expect(handover.term > (token?.term ?? .max))
    }
  }

  @Test func noLeaderIsElectedDuringAPause() async throws {
    try await withCluster(of: 2) { cluster in
      let first = try await cluster.leader()
      try await cluster.elections[1 - first].pause()
      try await cluster.elections[1 - first].pause()
      #expect(cluster.elections[first].isLeader)
      let error = await #expect(throws: ElectionError.self) { try await cluster.elections[first].stepDown() }
      #expect(error?.code == .paused)
      await cluster.elections[first].resign()
      try await cluster.advance(atLeast: .seconds(60)) { true }
      #expect(cluster.leaders.isEmpty)
      try await cluster.elections[1 - first].resume()
      #expect(try await cluster.leader(otherThan: first) == 1 - first)
    }
  }

  @Test func requestsWithoutARecordOrOnABootstrapRecordAreRefused() throws {
    let bootstrap = ElectionRecord(
      clusterID: "c", leader: nil, incarnation: "i", term: 1, leaseDuration: .seconds(1), isBootstrap: true)
    for command in [ElectionCommand.stepDown(to: nil), .elect, .force, .pause, .resume] {
      for record in [nil, bootstrap] {
        let error = #expect(throws: ElectionError.self) {
          try command.apply(to: record, id: "r", clusterID: "c", timings: .standard)
        }
        #expect(error?.code == .noRecord)
      }
    }
  }

  @Test func aPauseKeptByABootstrapRecordCanBeEnded() throws {
    var bootstrap = ElectionRecord(
      clusterID: "c", leader: nil, incarnation: "i", term: 1, leaseDuration: .seconds(1), isBootstrap: true)
    bootstrap.isPaused = true
    let resumed = try #require(try ElectionCommand.resume.apply(to: bootstrap, id: "r", clusterID: "c", timings: .standard))
    #expect(resumed.isBootstrap)
    #expect(!resumed.isPaused)
    #expect(throws: ElectionError.self) {
      try ElectionCommand.force.apply(to: bootstrap, id: "r", clusterID: "c", timings: .standard)
    }
  }

  @Test func invalidRequestsAreRefusedWithAReason() throws {
    let held = ElectionRecord(clusterID: "c", leader: "n", incarnation: "i", term: 1, leaseDuration: .seconds(1))
    var released = held
    released.leader = nil
    let cases: [(ElectionCommand, ElectionRecord, String, ElectionError.Code)] = [
      (.stepDown(to: nil), released, "c", .noLeader), (.stepDown(to: "n"), held, "c", .invalidTarget), (.elect, held, "d", .foreignCluster),
    ]
    for (command, record, clusterID, code) in cases {
      let error = #expect(throws: ElectionError.self) {
        try command.apply(to: record, id: "r", clusterID: clusterID, timings: .standard)
      }
      #expect(error?.code == code)
    }
    let forced = try #require(try ElectionCommand.force.apply(to: held, id: "r", clusterID: "c", timings: .standard))
    #expect(try ElectionCommand.force.apply(to: forced, id: "s", clusterID: "c", timings: .standard) == nil)
  }

  @Test func aStoppedElectionRefusesRequests() async {
    let election = LeaderElection(store: InMemoryElectionStore(), nodeID: "n", logger: quiet)
    let error = await #expect(throws: ElectionError.self) { try await election.stepDown() }
    #expect(error?.code == .notRunning)
  }

  @Test func aRequestToASilentStoreFailsInTime() async throws {
    try await withCluster(of: 1) { cluster in
      _ = try await cluster.leader()
      cluster.stores[0].faults.losesRequests = true
      let error = await #expect(throws: ElectionError.self) { try await cluster.elections[0].pause() }
      #expect(error?.code == .storeUnavailable)
    }
  }
}
