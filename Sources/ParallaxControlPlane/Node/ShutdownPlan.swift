/// What a node does when it stops: the steps in their order, and until when each may last.
///
/// The order of a stop and all its limits stand here. ``Shutdown`` performs the steps before and after the server stops to accept
/// connections; the service group stops the parts.
struct ShutdownPlan: Sendable, Hashable {
  /// One thing to do.
  enum Step: Sendable, Hashable {
    /// Readiness fails, and leadership is released at once.
    case leave
    /// HTTP is served on, so that load balancers notice.
    case keepServing
    /// No further executions are taken; agents stay, and may come back, until what there is has ended.
    case finishWork
    /// The server accepts no further connections.
    case stopAccepting
    /// Requests in transit are still taken, since proxies do not send them to another node.
    case takeLateRequests
    /// No further work is taken.
    case refuseWork
    /// Agents are told to connect again, spread over a time.
    case sendAgentsAway(over: Duration)
    /// Executions that no caller waits for here go to other nodes.
    case handOverExecutions
    /// Callers wait for their results.
    case awaitCallers
    /// Callers that still wait are told where to look.
    case answerCallers
    /// Agents leave by themselves, the last of them when the spread is over.
    case awaitAgents(spread: Duration)
    /// The agents that are left are disconnected.
    case closeAgents
    /// The last answers are written.
    case closeConnections
    /// The other parts of the node stop, in this order.
    case stop([NodePart])
  }

  /// A step and until when it may last.
  struct Timed: Sendable, Hashable {
    var step: Step
    /// Since the begin of the stop; what is not done by then is left undone.
    var deadline: Duration
  }

  /// How long requests in transit are taken after the server stopped accepting: slightly longer than the server keeps idle connections.
  static let lateRequests: Duration = .milliseconds(300)
  /// How long agents that leave by themselves are spread at most.
  static let longestSpread: Duration = .seconds(2)
  /// How long the last agent that was told to leave may take to do it.
  static let agentReaction: Duration = .milliseconds(500)
  /// How long the last answers may take to be written.
  static let connectionLimit: Duration = .seconds(2)
  /// How long the parts behind the server may take to stop, all together.
  static let partsLimit: Duration = .seconds(15)
  /// How long a part of the node may take to deliver what it has to say to other nodes, within `partsLimit`.
  static let deliveryLimit: Duration = .seconds(2)

  /// The steps in their order.
  let steps: [Timed]

  /// Plans a stop.
  ///
  /// - Parameters:
  ///   - delay: How long HTTP is served on, `server.drainDelay`.
  ///   - timeout: How long work that is under way may take after that, `server.drainTimeout`.
  ///   - hasSuccessor: Whether another node takes over the agents and the executions.
  init(delay: Duration, timeout: Duration, hasSuccessor: Bool) {
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

  /// How long the whole stop may take; what still runs then is cancelled.
  var limit: Duration { steps.last?.deadline ?? .zero }

  /// The steps up to the one that has the server stop to accept connections, with it.
  var whileAccepting: ArraySlice<Timed> {
    steps.prefix(through: acceptingEnd)
  }

  /// The steps after it.
  var afterAccepting: ArraySlice<Timed> {
    steps.suffix(from: acceptingEnd + 1)
  }

  private var acceptingEnd: Int {
    guard let index = steps.firstIndex(where: { $0.step == .stopAccepting }) else {
      preconditionFailure("a plan without an end of accepting")
    }
    return index
  }
}

/// The parts of a node that run, in the order in which they start; they stop from the last to the first.
enum NodePart: Sendable, Hashable, CaseIterable {
  /// The services of the backend.
  case backend
  /// Publishes events.
  case events
  /// Carries messages to other nodes.
  case messages
  /// Shows that the node lives.
  case membership
  /// Drives executions.
  case dispatcher
  /// Takes messages of other nodes.
  case inbox
  /// Follows what the other nodes tell.
  case feed
  /// Campaigns and does the leader's duties.
  case leadership
  /// Starts the node, and attends to the store.
  case lifecycle
  /// Serves HTTP and agents.
  case server
  /// Performs the plan until the server stops.
  case shutdown

  /// The parts that stop when the server has.
  static var behindServer: [NodePart] { Array(allCases.prefix { $0 != .server }) }
}
