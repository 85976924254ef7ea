import NIOCore
import Synchronization

/// The choice of a server.
extension ClusterRouter {
  /// The master of a slot, or any master for a command without a key; `nil` if there is none.
  func node(ofSlot slot: Int?) -> RedisNode? {
    state.withLock { Self.node(ofSlot: slot, &$0) }
  }

  static func node(ofSlot slot: Int?, _ state: inout State) -> RedisNode? {
    guard let slot else { return anyMaster(&state) }
    guard let owner = state.view.map?.owners[slot], owner != ClusterMap.nobody else { return nil }
    return state.masters[Int(owner)]
  }

  /// Any master, but the same one while it is usable, so that the messages that one task publishes keep their order.
  private static func anyMaster(_ state: inout State) -> RedisNode? {
    if let (endpoint, node) = state.chosen, node.current != nil, !state.isSilent(endpoint) { return node }
    let masters = state.view.map.map { Array(zip($0.masters, state.masters)) } ?? []
    let connected = masters.filter { $0.1.current != nil }
    state.chosen = connected.filter { !state.isSilent($0.0) }.randomElement() ?? connected.randomElement() ?? masters.randomElement()
    return state.chosen?.1
  }

  // MARK: Redirections

  /// Applies a redirection.
  ///
  /// - Returns: The node for this one command, if the slot is still migrating to it.
  func follow(_ redirection: Redirection, from source: Endpoint) -> RedisNode? {
    guard redirection.kind == .ask else {
      learn(redirection, from: source)
      return nil
    }
    let asked = state.withLock { state -> RedisNode? in
      // Of several, those that do not import the slot redirect the command back.
      guard !state.isOver, let target = redirection.targets(from: source, in: state.view.map).randomElement() else { return nil }
      state.lastRedirected[target] = connector.eventLoop.now
      return node(at: target, &state)
    }
    if asked == nil { askForRefresh(source) }
    return asked
  }

  /// Records that a slot has moved.
  ///
  /// A migrating slot does not change the map.
  func learn(_ redirection: Redirection, from source: Endpoint) {
    guard redirection.kind == .moved else { return }
    let hint = state.withLock { state -> Endpoint? in
      if state.isOver { return nil }
      let targets = redirection.targets(from: source, in: state.view.map)
      // The map of a server that redirects has the address that the redirection lacks.
      guard targets.count == 1, let target = targets.first else { return source }
      if state.view.map?.master(of: redirection.slot) == target { return nil }
      state.view.moved(redirection.slot, to: target)
      state.masters = state.view.map?.masters.map { node(at: $0, &state) } ?? []
      return target
    }
    if let hint { askForRefresh(hint) }
  }

  // MARK: Sources of the map, and the server of subscriptions

  /// The servers that may know the cluster, each kind in the order in which to ask.
  struct Sources {
    /// Connected servers; the first is the most likely to know the latest change.
    var answering: [RedisNode] = []
    /// All other known servers.
    var others: [Endpoint] = []
    /// Connected servers that owe replies.
    var silent: [RedisNode] = []
  }

  var sources: Sources {
    state.withLock { state in
      let connected = state.nodes.filter { $0.value.current != nil }
      var sources = Sources()
      for (endpoint, node) in connected.shuffled() {
        if state.isSilent(endpoint) {
          sources.silent.append(node)
        } else {
          sources.answering.insert(node, at: endpoint == state.hint ? 0 : sources.answering.endIndex)
        }
      }
      let known = (state.view.map.map { $0.replicas.shuffled() + $0.masters.shuffled() } ?? []) + seeds
      for endpoint in known where connected[endpoint] == nil && !sources.others.contains(endpoint) { sources.others.append(endpoint) }
      return sources
    }
  }

  /// The server of subscriptions: the masters forward each other's messages.
  var subscriptions: ServerLocator {
    ServerLocator(name: "a master of the cluster", mustBeMaster: false) { () async throws(RedisError) in
      do {
        try await self.map.value(before: .now() + TimeAmount(clamping: self.configuration.connectTimeout))
      } catch {
        throw error as? RedisError ?? RedisError(.shutDown, message: "The client is shutting down.")
      }
      guard let endpoint = self.subscriptionServer else { throw RedisError(.connectionFailed, message: "The cluster has no master.") }
      return endpoint
    } isCurrent: { endpoint in
      self.state.withLock { $0.view.map?.isOwning(endpoint) ?? true }
    }
  }

  private var subscriptionServer: Endpoint? {
    state.withLock { state in
      let masters = state.view.map?.owningMasters ?? []
      let good = masters.filter { state.nodes[$0]?.current != nil && !state.isSilent($0) }
      return good.randomElement() ?? masters.randomElement()
    }
  }
}
