package import ParallaxAPI
package import ParallaxState

/// What a node tells all others about its agents, as events of the channel `agent`.
package enum AgentAnnouncement: Sendable, Hashable {
  /// An agent is registered, newly or again; `activeTasks` is what it says it still has, nil if it cannot tell.
  case registered(String, epoch: Int64, capabilities: [String], limit: Int, activeTasks: [String]?)
  /// What a registered agent can do, how much, and whether it takes work.
  case changed(String, epoch: Int64, capabilities: [String], limit: Int, isDraining: Bool)
  /// An agent's connection has ended; `graceful`: it said good-bye.
  case left(String, epoch: Int64, graceful: Bool)
  /// How many tasks agents have in hand, those whose number changed.
  case loads([String: Int])

  /// The event's type, what it is about, and its details.
  ///
  /// `nodeID` is what loads are about: the node's agents.
  package func event(nodeID: String) -> (type: String, id: String, details: JSONValue) {
    switch self {
    case .registered(let id, let epoch, let capabilities, let limit, let activeTasks):
      var details: [String: JSONValue] = [
        "epoch": .integer(epoch), "capabilities": .array(capabilities.map { .string($0) }), "maxConcurrentTasks": .integer(Int64(limit)),
      ]
      if let activeTasks { details["activeTasks"] = .array(activeTasks.map { .string($0) }) }
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
    case .loads(let loads):
      return ("loads", nodeID, .object(loads.mapValues { .integer(Int64($0)) }))
    }
  }

  /// Reads an event of the channel; nil for one that this version does not know.
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
        event.id, epoch: epoch, capabilities: capabilities, limit: limit, activeTasks: details["activeTasks"]?.texts)
    case ("changed", let capabilities?, let limit?):
      self = .changed(
        event.id, epoch: epoch, capabilities: capabilities, limit: limit, isDraining: details["draining"]?.boolValue ?? false)
    case ("left", _, _): self = .left(event.id, epoch: epoch, graceful: details["graceful"]?.boolValue ?? false)
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
