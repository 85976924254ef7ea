import ParallaxAPI
package import ParallaxHA
package import ParallaxState

/// What comes from other nodes, and from those that are gone.
extension Dispatcher {
  /// Goes on with an execution that this node has claimed.
  package func recover(_ stored: StoredExecution) {
    handle { machine, now in machine.recover(stored, at: now) }
  }

  /// Expects an agent of a former node session to come back.
  package func expectAgent(_ id: String, epoch: Int64, home: NodeSession) {
    handle { machine, now in
      machine.agentExpected(id, epoch: epoch, home: home, at: now)
      return []
    }
  }

  /// Does what another node session asks for or tells.
  package func received(_ message: NodeMessage) {
    if case .disconnect(let agent) = message { _ = disconnectAgent(agent) }
    handle { machine, now in machine.received(message, at: now) }
  }

  /// Reads an execution again that another node has recorded an outcome for, or takes it up if nobody here drives it.
  func outcomeRecorded(of id: String) {
    handle { machine, _ in machine.outcomeRecorded(of: id) }
  }

  /// Takes in what another node tells about its agents.
  package func heard(_ news: AgentAnnouncement, from home: NodeSession) {
    handle { machine, now in machine.heard(news, from: home, at: now) }
  }

  /// The epochs of the agents that are known to be connected to another node session.
  package func agentEpochs(at home: NodeSession) -> [String: Int64] {
    inspect { $0.agentEpochs(at: home) }
  }

  /// Takes in all agents of another node session, as they were read from the store after `before` was taken by `agentEpochs`.
  package func listed(_ records: [AgentRecord], at home: NodeSession, before: [String: Int64]) {
    handle { machine, now in machine.listed(records, at: home, before: before, at: now) }
  }

  /// Another node session is gone.
  package func memberLost(_ home: NodeSession) {
    handle { machine, now in machine.memberLost(home, at: now) }
  }

  /// Gives what nobody here waits for to other node sessions.
  package func handOver(to others: [NodeSession]) {
    handle { machine, _ in machine.handOver(to: others) }
  }

  /// How many agents' loads one event tells.
  private static let loadsPerEvent = 1_000

  /// Tells the others how many tasks this node's agents have, those of which it changed since the last call, and now and then all.
  package func publishLoads() {
    let now = clock.now
    let loads = Array(inspect { $0.takeLoads(at: now) })
    for start in stride(from: 0, to: loads.count, by: Self.loadsPerEvent) {
      let part = loads[start..<min(start + Self.loadsPerEvent, loads.count)]
      peers.publish(.loads(Dictionary(part.map { ($0.key, $0.value) }) { $1 }))
    }
  }

  /// Makes the next `publishLoads` publish the loads of all agents of this node: another node may have missed some.
  package func tellAllLoads() {
    inspect { $0.tellAllLoads() }
  }
}
