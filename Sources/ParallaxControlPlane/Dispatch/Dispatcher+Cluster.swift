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
    switch message {
    case .deliver(let task, let agent, _): handle { machine, now in machine.forwarded(task, to: agent, at: now) }
    case .withdraw(let cancellation, let agent): handle { machine, now in machine.withdrawn(cancellation, from: agent, at: now) }
    case .recorded(let execution, _): outcomeRecorded(of: execution)
    case .cancel(let execution): cancelForOther(execution)
    case .adopt(let execution, let owner): add(.adopt(execution, owner: owner))
    case .adopted(let execution): handle { machine, now in machine.taken(execution, at: now) }
    case .watch(let execution, let watcher): handle { machine, _ in machine.watch(execution, by: watcher) }
    case .ended: break
    case .disconnect(let agent): _ = disconnectAgent(agent)
    }
  }

  /// Reads an execution again that another node has recorded an outcome for, or takes it up if nobody here drives it.
  func outcomeRecorded(of id: String) {
    let isDriven = inspect { $0.execution(id) != nil }
    add(isDriven ? .readOutcomes(id) : .adopt(id, owner: session))
  }

  private func cancelForOther(_ id: String) {
    let isDriven = inspect { $0.execution(id) != nil }
    if isDriven {
      handle { machine, now in machine.cancel(id, waiter: nil, at: now).actions }
    } else {
      add(.adopt(id, owner: session, cancels: true))
    }
  }

  /// Takes in what another node tells about its agents.
  package func heard(_ news: AgentNews, from home: NodeSession) {
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

  /// Tells the others how many tasks this node's agents have, those of which it changed since the last call.
  package func publishLoads() {
    let loads = inspect { $0.takeLoads() }
    if !loads.isEmpty { neighbours.publish(.loads(loads)) }
  }
}
