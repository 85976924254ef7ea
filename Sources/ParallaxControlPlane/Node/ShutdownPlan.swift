/// The steps of a node's shutdown, in order, each with its deadline.
///
/// The plan has the whole order and all limits. ``Shutdown`` performs the steps before and after the server stops accepting connections;
/// the service group stops the parts.
package struct ShutdownPlan: Sendable, Hashable {
  /// One step of a shutdown.
  package enum Step: Sendable, Hashable {
    /// Fail the readiness probe and release leadership.
    case leave
    /// Continue to serve HTTP until load balancers have noticed.
    case keepServing
    /// Refuse new executions, and keep the agents until the present executions have ended.
    case finishWork
    /// Have the server accept no more connections.
    case stopAccepting
    /// Continue to accept requests in transit, which proxies do not send to another node.
    case takeLateRequests
    /// Refuse new work.
    case refuseWork
    /// Ask the agents to reconnect, spread over a time.
    case sendAgentsAway(over: Duration)
    /// Hand over the executions without a waiting caller to other nodes.
    case handOverExecutions
    /// Wait for the executions with a waiting caller.
    case awaitCallers
    /// Answer the callers that still wait with the id of their execution.
    case answerCallers
    /// Wait until the agents have left, the last of them at the end of the spread.
    case awaitAgents(spread: Duration)
    /// Disconnect the remaining agents.
    case closeAgents
    /// Write the last answers and close the connections.
    case closeConnections
    /// Stop the other parts of the node in this order.
    case stop([NodePart])
  }

  /// A step with its deadline.
  package struct Timed: Sendable, Hashable {
    package var step: Step
    /// The end of the step, counted from the begin of the shutdown; the step is abandoned then.
    package var deadline: Duration
  }

  /// The time for requests in transit after the server has stopped accepting: slightly longer than that of idle connections.
  static let lateRequests: Duration = .milliseconds(300)
  /// The time to announce the stop to the other nodes, and to learn which of them stop too.
  static let announcementLimit: Duration = .seconds(1)
  /// The longest time to spread the departure of agents over.
  static let longestSpread: Duration = .seconds(2)
  /// The time that an agent has to follow the request to reconnect.
  static let agentReaction: Duration = .milliseconds(500)
  /// The time to write the last answers.
  static let connectionLimit: Duration = .seconds(2)
  /// The time for all parts behind the server to stop.
  static let partsLimit: Duration = .seconds(15)
  /// The time, within `partsLimit`, to deliver the messages to other nodes.
  package static let deliveryLimit: Duration = .seconds(2)
  /// The time, within `partsLimit`, to repeat calls that the store does not answer.
  static let storeLimit: Duration = .seconds(5)

  /// The steps in order.
  package let steps: [Timed]

  /// Plans a shutdown.
  ///
  /// - Parameters:
  ///   - delay: The time to continue serving HTTP, `server.drainDelay`.
  ///   - timeout: The time for work in progress after that, `server.drainTimeout`.
  ///   - hasSuccessor: Whether another node takes over the agents and the executions.
  package init(delay: Duration, timeout: Duration, hasSuccessor: Bool) {
    let workEnd = delay + timeout
    let spread = min(Self.longestSpread, timeout)
    let agentsEnd = workEnd + spread + Self.agentReaction
    let connectionsEnd = agentsEnd + Self.connectionLimit
    var steps = [Timed(step: .leave, deadline: delay), Timed(step: .keepServing, deadline: delay)]
    if !hasSuccessor { steps.append(Timed(step: .finishWork, deadline: workEnd)) }
    steps.append(Timed(step: .stopAccepting, deadline: workEnd))
    // A node that finishes its work refuses further work already.
    if hasSuccessor { steps.append(Timed(step: .takeLateRequests, deadline: workEnd)) }
    steps += [Timed(step: .refuseWork, deadline: workEnd), Timed(step: .sendAgentsAway(over: spread), deadline: workEnd)]
    if hasSuccessor { steps.append(Timed(step: .handOverExecutions, deadline: workEnd)) }
    steps += [
      Timed(step: .awaitCallers, deadline: workEnd), Timed(step: .answerCallers, deadline: workEnd),
      Timed(step: .awaitAgents(spread: spread), deadline: agentsEnd), Timed(step: .closeAgents, deadline: agentsEnd),
      Timed(step: .closeConnections, deadline: connectionsEnd),
      Timed(step: .stop(NodePart.behindServer.reversed()), deadline: connectionsEnd + Self.partsLimit),
    ]
    self.steps = steps
  }

  /// The time for the whole shutdown, after which the services are cancelled.
  var limit: Duration { steps.last?.deadline ?? .zero }

  /// The steps up to and including `keepServing`, which do not depend on successors.
  var leaving: ArraySlice<Timed> { steps.prefix { $0.step == .leave || $0.step == .keepServing } }

  /// The steps up to and including `stopAccepting`.
  var whileAccepting: ArraySlice<Timed> {
    steps.prefix(through: acceptingEnd)
  }

  /// The steps after `stopAccepting`.
  var afterAccepting: ArraySlice<Timed> {
    steps.suffix(from: acceptingEnd + 1)
  }

  private var acceptingEnd: Int {
    guard let index = steps.firstIndex(where: { $0.step == .stopAccepting }) else {
      preconditionFailure("a shutdown plan without the step stopAccepting")
    }
    return index
  }
}

/// The running parts of a node, in the order of their start; they stop in reverse order.
package enum NodePart: Sendable, Hashable, CaseIterable {
  /// Watches over the node's witness, which is discharged when everything else has stopped.
  case witness
  /// The services of the backend.
  case backend
  /// Publishes events.
  case events
  /// Delivers messages to other nodes.
  case messages
  /// Sends heartbeats.
  case membership
  /// Drives executions.
  case dispatcher
  /// Receives messages from other nodes.
  case inbox
  /// Follows the events of the cluster.
  case feed
  /// Campaigns and runs the leader's duties.
  case leadership
  /// Starts the node and maintains its state in the store.
  case lifecycle
  /// Serves HTTP and agents.
  case server
  /// Performs the shutdown plan until the server stops.
  case shutdown

  /// The parts that stop after the server.
  static var behindServer: [NodePart] { Array(allCases.prefix { $0 != .server }) }
}
