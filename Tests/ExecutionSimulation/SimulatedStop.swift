import ParallaxControlPlane
import ParallaxHA

/// The shutdown of a simulated node, which performs a `ShutdownPlan` as `Shutdown` does.
final class SimulatedStop {
  /// What a node that stops still serves.
  enum Stage {
    /// Agents and their work; no new executions.
    case leaving
    /// Nothing new.
    case draining
  }

  private(set) var stage = Stage.leaving
  private unowned let node: SimulatedNode
  private let limit: Int64
  private let down: Int64
  private var deadline: Int64 = 0
  private var successors: [NodeSession] = []

  private static let checkInterval = 0.1

  /// Plans the stop of a node within a time, after which it is down for another.
  init(_ node: SimulatedNode, within limit: Int64, thenDownFor down: Int64) {
    self.node = node
    self.limit = limit
    self.down = down
  }

  func begin() {
    node.announceStop { [self] successors in
      self.successors = successors
      let plan = ShutdownPlan(delay: .zero, timeout: .nanoseconds(limit), hasSuccessor: !successors.isEmpty)
      perform(plan.steps[...], since: node.world.now)
    }
  }

  private func perform(_ steps: ArraySlice<ShutdownPlan.Timed>, since begin: Int64) {
    guard let timed = steps.first else { return end() }
    deadline = begin + timed.deadline.nanoseconds
    let next = { self.perform(steps.dropFirst(), since: begin) }
    switch timed.step {
    case .leave: node.world.store.resign(node.session)
    case .finishWork: return wait(while: { $0.isBusy || $0.hasCallers }, then: next)
    case .awaitCallers: return wait(while: \.hasCallers, then: next)
    case .refuseWork: stage = .draining
    case .sendAgentsAway:
      node.dispatcher.handle(.agent(.sentAway))
      node.hangUpAll()
    case .handOverExecutions: node.dispatcher.handle(.handOver(to: successors))
    case .answerCallers:
      node.dispatcher.handle(.stopping)
      node.releaseWaits()
    case .stop:
      deadline = min(deadline, node.world.now + ShutdownPlan.deliveryLimit.nanoseconds)
      // The messages of the last steps are on their way to the store.
      return node.here(after: 1) { self.wait(while: { $0.callsUnderWay > 0 }, then: next) }
    case .keepServing, .stopAccepting, .takeLateRequests, .awaitAgents, .closeAgents, .closeConnections: break
    }
    next()
  }

  private func wait(while isBusy: @escaping (SimulatedNode) -> Bool, then next: @escaping () -> Void) {
    guard isBusy(node), node.world.now < deadline else { return next() }
    node.here(afterOwn: Self.checkInterval) { self.wait(while: isBusy, then: next) }
  }

  private func end() {
    if !node.isCut { node.world.store.removeMember(node.session) }
    node.die(for: down)
  }
}

extension SimulatedNode {
  /// Stops the node as SIGTERM does.
  func stop(within limit: Int64, thenDownFor time: Int64) {
    guard isUp, stop == nil else { return }
    world.note("\(session) stops")
    here { [self] in
      guard stop == nil else { return }
      let stop = SimulatedStop(self, within: limit, thenDownFor: time)
      self.stop = stop
      wellSince = .max
      stop.begin()
    }
  }
}
