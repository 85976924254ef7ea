package import Logging
import NIOCore
package import ParallaxAPI
package import ParallaxServer
import ParallaxState

/// Opens a session for each connecting agent.
package struct SessionGateway: AgentGateway {
  let settings: AgentSessionMachine.Settings
  let dispatcher: Dispatcher
  let health: NodeHealth
  let clock: NodeClock
  let metrics: SessionMetrics
  let contests: AgentIDContests
  let unidentified = UnidentifiedAnswers()
  let logger: Logger

  package init(
    settings: AgentSessionMachine.Settings, dispatcher: Dispatcher, health: NodeHealth, clock: NodeClock, metrics: SessionMetrics,
    logger: Logger
  ) {
    self.settings = settings
    self.dispatcher = dispatcher
    self.health = health
    self.clock = clock
    self.metrics = metrics
    contests = AgentIDContests(logger: logger)
    self.logger = logger
  }

  package func accept(_ handshake: AgentHandshake, on connection: any AgentConnection) -> Result<any AgentMessageHandler, APIError> {
    let condition = health.condition
    if let refusal = condition.agentRefusal {
      // The outage of a store must not count as the agent's absence.
      if condition.isCutOff, let agent = handshake.agentID { dispatcher.handle(.agent(.turnedAway(agent))) }
      return .failure(refusal)
    }
    let now = clock.now
    let agentID: String
    if let wanted = handshake.agentID {
      guard (1...128).contains(wanted.utf8.count), wanted.utf8.allSatisfy(PatternDefinition.isNameByte) else {
        return .failure(APIError(.validation, "X-Agent-Id: expected 1 to 128 letters, digits, '-', '_' or '.'"))
      }
      agentID = wanted
    } else {
      var generator = SystemRandomNumberGenerator()
      agentID = SortableID.make(prefix: "agent", at: now.wall, using: &generator)
    }
    var logger = logger
    logger[metadataKey: "connection"] = "\(connection.id)"
    let machine = AgentSessionMachine(
      settings: settings, agentID: agentID, capabilities: handshake.capabilities, at: now.instant)
    return .success(
      AgentSession(
        machine: machine, connection: connection, dispatcher: dispatcher, clock: clock, metrics: metrics, contests: contests,
        unidentified: unidentified, logger: logger))
  }
}
