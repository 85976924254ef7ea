import ParallaxAPI
import ParallaxHA
import ParallaxState
import ParallaxTesting
import Testing

/// Leaders that die during a recovery, with seeded orders of steps: hazard 27 of the election's design.
@Suite struct RecoverySimulationTests {
  private static let count = 60

  /// Some fixed seeds and a random one, which a failure names.
  @Test(arguments: [1, 2, 3, UInt64.random(in: 0...(.max))])
  func aSuccessorEndsAllExecutionsAndEachHasOneOwner(seed: UInt64) {
    var generator = SimulationRandom(seed: seed)
    let store = InMemoryStateStore(now: { Timestamp(milliseconds: 0) })
    let lost = session("lost")
    store.open(lost)
    for number in 0..<Self.count { _ = store.create(execution("exec_\(number)", owner: lost)) }
    var sessions = [lost]
    // Each leader recovers all earlier sessions, one claim at a time, and all but the last die before the end.
    for turn in 1...4 {
      let leader = session("leader-\(turn)")
      store.open(leader)
      var claims = sessions.flatMap { former in store.executions(ownedBy: former).map { (id: $0, former: former) } }
      claims.shuffle(using: &generator)
      let steps = turn == 4 ? claims.count : Int.random(in: 0...claims.count, using: &generator)
      for claim in claims.prefix(steps) {
        let before = store.execution(claim.id)?.execution.epoch ?? 0
        let claimed = store.claim(claim.id, from: claim.former, isGone: true, to: leader)
        #expect(claimed?.execution.epoch == before + 1, "seed \(seed): \(claim.id) was claimed twice or not at all")
        // A slow leader repeats a claim that another has made since.
        if let rival = sessions.last, rival != claim.former {
          #expect(store.claim(claim.id, from: claim.former, isGone: true, to: rival) == nil, "seed \(seed): \(claim.id) went back")
        }
      }
      sessions.append(leader)
    }
    let owners = (0..<Self.count).map { store.execution("exec_\($0)")?.execution.owner }
    #expect(owners.allSatisfy { $0 == sessions.last }, "seed \(seed)")
    for former in sessions.dropLast() { #expect(store.executions(ownedBy: former) == [], "seed \(seed): \(former)") }
    // The store refuses a write of a former owner.
    var change = ExecutionChange(id: "exec_0", owner: lost, epoch: 1, revision: 2)
    change.status = .completed
    #expect(store.update(change) == .stale)
  }

  private func session(_ id: String) -> NodeSession { NodeSession(nodeID: id, incarnation: "1") }

  private func execution(_ id: String, owner: NodeSession) -> StoredExecution {
    let pattern = PatternDefinition(
      name: "p", agents: AgentRequirement(capabilities: ["c"], min: 1, max: nil), aggregation: Aggregation(strategy: .first))
    let start = Timestamp(milliseconds: 1_768_473_000_000)
    return StoredExecution(
      execution: Execution(id: id, pattern: pattern, input: [:], createdAt: start, deadline: start + .seconds(60), owner: owner), tasks: [])
  }
}
