package import ParallaxAPI
package import ParallaxState

/// A node's announcement about its agents to all other nodes, as an event of the channel `agent`.
package enum AgentAnnouncement: Sendable, Hashable {
  /// An agent has registered, or its registration was renewed.
  ///
  /// `activeTasks` are the tasks that it reported, nil if it cannot report them; `process` is its process, nil if it names none.
  case registered(String, epoch: Int64, capabilities: [String], limit: Int, activeTasks: [String]?, process: String? = nil)
  /// The capabilities, the limit or the draining state of a registered agent have changed.
  case changed(String, epoch: Int64, capabilities: [String], limit: Int, isDraining: Bool)
  /// An agent's connection has ended; `graceful` if the agent sent `disconnect`.
  case left(String, epoch: Int64, graceful: Bool)
  /// The connection of an agent's registration has ended with tasks of other nodes.
  case connectionEnded(String, epoch: Int64, Cargo)
  /// The numbers of tasks in hand, by agent, for the agents whose number has changed.
  case loads([String: Int])

  /// The type, the subject and the details of the event.
  ///
  /// - Parameter nodeID: The node, which is the subject of an announcement of loads.
  /// - Returns: The parts of the event.
  package func event(nodeID: String) -> (type: String, id: String, details: JSONValue) {
    switch self {
    case .registered(let id, let epoch, let capabilities, let limit, let activeTasks, let process):
      var details: [String: JSONValue] = [
        "epoch": .integer(epoch), "capabilities": .array(capabilities.map { .string($0) }), "maxConcurrentTasks": .integer(Int64(limit)),
      ]
      if let activeTasks { details["activeTasks"] = .array(activeTasks.map { .string($0) }) }
      if let process { details["process"] = .string(process) }
      return ("registered", id, .object(details))
    case .changed(let id, let epoch, let capabilities, let limit, let isDraining):
      return (
        "changed", id,
        [
          "epoch": .integer(epoch), "capabilities": .array(capabilities.map { .string($0) }),
          "maxConcurrentTasks": .integer(Int64(limit)), "draining": .bool(isDraining),
        ]
      )
    case .left(let id, let epoch, let graceful):
      return ("left", id, ["epoch": .integer(epoch), "graceful": .bool(graceful)])
    case .connectionEnded(let id, let epoch, let cargo):
      let (sent, unsent) = (cargo.sent.sorted(), cargo.unsent.sorted())
      return (
        "connection_ended", id,
        ["epoch": .integer(epoch), "sent": .array(sent.map { .string($0) }), "unsent": .array(unsent.map { .string($0) })]
      )
    case .loads(let loads):
      return ("loads", nodeID, .object(loads.mapValues { .integer(Int64($0)) }))
    }
  }

  /// Decodes an event of the channel; nil if this version does not know its type, or if a detail is missing.
  package init?(_ event: ClusterEvent) {
    guard let details = event.details else { return nil }
    if event.type == "loads", case .object(let loads) = details {
      self = .loads(loads.compactMapValues { $0.integerValue.map { Int(clamping: $0) } })
      return
    }
    guard let epoch = details["epoch"]?.integerValue else { return nil }
    let capabilities = details["capabilities"]?.texts
    let limit = details["maxConcurrentTasks"]?.integerValue.map { Int(clamping: $0) }
    switch (event.type, capabilities, limit) {
    case ("registered", let capabilities?, let limit?):
      self = .registered(
        event.id, epoch: epoch, capabilities: capabilities, limit: limit, activeTasks: details["activeTasks"]?.texts,
        process: details["process"]?.stringValue)
    case ("changed", let capabilities?, let limit?):
      self = .changed(
        event.id, epoch: epoch, capabilities: capabilities, limit: limit, isDraining: details["draining"]?.boolValue ?? false)
    case ("left", _, _): self = .left(event.id, epoch: epoch, graceful: details["graceful"]?.boolValue ?? false)
    case ("connection_ended", _, _):
      let (sent, unsent) = (details["sent"]?.texts ?? [], details["unsent"]?.texts ?? [])
      self = .connectionEnded(event.id, epoch: epoch, Cargo(sent: Set(sent), unsent: Set(unsent)))
    default: return nil
    }
  }
}

extension JSONValue {
  fileprivate var texts: [String]? {
    guard case .array(let values) = self else { return nil }
    return values.compactMap(\.stringValue)
  }
}
