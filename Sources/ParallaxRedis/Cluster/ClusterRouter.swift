import Logging
import NIOCore
import Synchronization

/// The masters of a cluster, the map of their slots, and the way of a command to the right one.
final class ClusterRouter: Sendable {
  typealias Endpoint = RedisConfiguration.Endpoint

  private struct State {
    var view = ClusterView()
    /// The node of each master of the map, in the map's order.
    var masters: [RedisNode] = []
    var nodes: [Endpoint: RedisNode] = [:]
    /// The server that is most likely to know the latest change.
    var hint: Endpoint?
  }

  /// How long the replies of a master that has lost its slots are still awaited.
  private static let farewell = TimeAmount.milliseconds(500)

  let configuration: RedisConfiguration
  let scripts: KnownScripts
  let seeds: [Endpoint]
  let connector: RedisConnector
  let logger: Logger
  /// Begins with the first map.
  let map: Awaited<Void>
  private let state = Mutex(State())
  private let starts: AsyncStream<RedisNode>
  private let start: AsyncStream<RedisNode>.Continuation
  private let refreshes: AsyncStream<Void>
  private let refresh: AsyncStream<Void>.Continuation

  /// - Parameters:
  ///   - seeds: Some servers of the cluster.
  ///   - connector: Opens connections.
  ///   - scripts: What each of them loads first.
  ///   - logger: Where outages and changes of the masters are reported.
  init(seeds: [Endpoint], connector: RedisConnector, scripts: KnownScripts, logger: Logger) {
    configuration = connector.configuration
    self.seeds = seeds
    self.connector = connector
    self.scripts = scripts
    self.logger = logger
    map = Awaited(name: "the cluster of \(seeds.map(\.description).joined(separator: ", "))", eventLoop: connector.eventLoop)
    (starts, start) = AsyncStream.makeStream()
    (refreshes, refresh) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
  }

  // MARK: Life

  /// Keeps the connections to all masters until the task is cancelled.
  ///
  /// - Parameter changed: Learns that there may be other masters than before.
  func run(_ changed: @escaping @Sendable () -> Void) async {
    map.started()
    refresh.yield()
    await withDiscardingTaskGroup { group in
      group.addTask { await ClusterRefresher(router: self).run(self.refreshes, changed) }
      for await node in starts { group.addTask { await node.run() } }
    }
    map.shutDown(RedisError(.shutDown, message: "The client has been shut down."))
  }

  /// Asks for a new map; many reasons in one moment ask once.
  func askForRefresh(_ hint: Endpoint? = nil) {
    if let hint { state.withLock { $0.hint = hint } }
    refresh.yield()
  }

  /// How the master that is worst off stands.
  var status: RedisConnectionStatus {
    let (isKnown, missingFor, reason) = map.availability
    guard isKnown else {
      return RedisConnectionStatus(isConnected: false, timeSinceLastReply: nil, disconnectedFor: missingFor ?? .zero, lastError: reason)
    }
    let all = owningMasters.map(\.status)
    let worst = all.max { ($0.disconnectedFor ?? .zero) < ($1.disconnectedFor ?? .zero) }
    return RedisConnectionStatus(
      isConnected: all.allSatisfy(\.isConnected), timeSinceLastReply: all.compactMap(\.timeSinceLastReply).max(),
      disconnectedFor: worst?.disconnectedFor, lastError: worst?.lastError)
  }

  // MARK: The map

  /// The masters that have slots.
  var owningMasters: [RedisNode] {
    state.withLock { state in
      state.view.map.map { map in map.owningMasters.compactMap { state.nodes[$0] } } ?? []
    }
  }

  /// Where a server of the cluster may be found, best first: those connected, then all others that were ever named.
  var sources: (connected: [RedisNode], others: [Endpoint]) {
    state.withLock { state in
      let connected = state.nodes.filter { $0.value.current != nil }
      let hinted = connected.filter { $0.key == state.hint }.values
      let rest = connected.filter { $0.key != state.hint }.values.shuffled()
      let known = (state.view.map.map { $0.replicas.shuffled() + $0.masters.shuffled() } ?? []) + seeds
      let others = known.reduce(into: [Endpoint]()) { if !$0.contains($1), connected[$1] == nil { $0.append($1) } }
      return (Array(hinted) + rest, others)
    }
  }

  /// Takes what some servers say about the cluster.
  ///
  /// - Returns: Whether the client has a map now that it believes.
  func received(_ reports: [ClusterView.Report]) -> Bool {
    let now = Duration(connector.eventLoop.now - .uptimeNanoseconds(0))
    let (isBelieved, masters, gone) = state.withLock { state -> (Bool, (before: Set<Endpoint>, now: Set<Endpoint>), [RedisNode]) in
      let before = state.view.map?.owningMasters ?? []
      guard state.view.received(reports, now: now) else { return (false, (before, before), []) }
      return (true, (before, state.view.map?.owningMasters ?? []), reconcile(&state))
    }
    for node in gone {
      node.end(
        RedisError(.connectionFailed, message: "\(node.locator.name) is no master of the cluster any more."), grace: Self.farewell)
    }
    if isBelieved { map.provide(()) }
    if !masters.before.isEmpty, masters.before != masters.now {
      func list(_ endpoints: Set<Endpoint>) -> String { endpoints.map(\.description).sorted().joined(separator: " ") }
      logger.notice(
        "The cluster has other masters", metadata: ["from": "\(list(masters.before))", "to": "\(list(masters.now))"])
    }
    return isBelieved
  }

  /// Gives each master of the map its node; the nodes that are of no more use.
  private func reconcile(_ state: inout State) -> [RedisNode] {
    guard let map = state.view.map else { return [] }
    state.masters = map.masters.map { node(at: $0, &state) }
    let masters = Set(map.masters)
    let gone = state.nodes.filter { !masters.contains($0.key) }
    for endpoint in gone.keys { state.nodes[endpoint] = nil }
    return Array(gone.values)
  }

  private func node(at endpoint: Endpoint, _ state: inout State) -> RedisNode {
    if let known = state.nodes[endpoint] { return known }
    let node = RedisNode(.fixed(endpoint), configuration: configuration, connector: connector, scripts: scripts, logger: logger)
    state.nodes[endpoint] = node
    start.yield(node)
    return node
  }

  // MARK: The way of a command

  /// The master of a slot, or any master that is connected; `nil` if there is none.
  func node(ofSlot slot: Int?) -> RedisNode? {
    state.withLock { state in
      guard let slot else { return Self.any(state.masters) }
      guard let owner = state.view.map?.owners[slot], owner != ClusterMap.nobody else { return nil }
      return state.masters[Int(owner)]
    }
  }

  private static func any(_ masters: [RedisNode]) -> RedisNode? {
    masters.first { $0.current != nil } ?? masters.first
  }

  /// Learns from a server that a key is elsewhere.
  ///
  /// - Returns: The node to ask this one time, if the slot is only on its way there.
  @discardableResult
  func follow(_ redirection: Redirection, from source: Endpoint) -> RedisNode? {
    let target = redirection.target(from: source)
    switch redirection.kind {
    case .ask: return state.withLock { node(at: target, &$0) }
    case .moved:
      state.withLock { state in
        state.view.moved(redirection.slot, to: target)
        state.masters = state.view.map?.masters.map { node(at: $0, &state) } ?? []
      }
      askForRefresh(target)
      return nil
    }
  }

  /// Where to subscribe: the masters pass on each other's messages.
  var subscriptions: ServerLocator {
    ServerLocator(name: "a master of the cluster", mustBeMaster: false) { () async throws(RedisError) in
      do {
        try await self.map.value(before: .now() + TimeAmount(clamping: self.configuration.connectTimeout))
      } catch {
        throw error as? RedisError ?? RedisError(.shutDown, message: "The client is shutting down.")
      }
      let masters = self.owningMasters
      guard let node = masters.filter({ $0.current != nil }).randomElement() ?? masters.randomElement() else {
        throw RedisError(.connectionFailed, message: "The cluster has no master.")
      }
      return try await node.locator.locate()
    } isCurrent: { endpoint in
      self.state.withLock { $0.view.map?.owningMasters.contains(endpoint) ?? true }
    }
  }
}
