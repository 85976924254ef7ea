import Logging
import NIOCore
import ParallaxConcurrency
import Synchronization

/// The masters of a cluster, the map of their slots, and the way of a command to the right one.
final class ClusterRouter: Sendable {
  typealias Endpoint = RedisConfiguration.Endpoint

  struct State {
    var view = ClusterView()
    /// The node of each master of the map, in the map's order.
    var masters: [RedisNode] = []
    var nodes: [Endpoint: RedisNode] = [:]
    /// The master for commands without a key.
    var chosen: (Endpoint, RedisNode)?
    /// When a command was last sent to a server that its slot is only on its way to: such a server need not be in the map yet.
    var asked: [Endpoint: NIODeadline] = [:]
    /// The server that is most likely to know the latest change.
    var hint: Endpoint?
    /// Servers that owe replies and have not sent anything for a while: since when.
    var silent: [Endpoint: NIODeadline] = [:]
    var isOver = false

    /// Whether a server owes replies and has not sent anything for a while.
    func isSilent(_ endpoint: Endpoint) -> Bool {
      guard let since = silent[endpoint], let connection = nodes[endpoint]?.current else { return false }
      return connection.isBusy && connection.lastArrival == since
    }
  }

  /// How long a server that is in no map is kept after the last command that was sent on to it.
  private static let memory = TimeAmount.seconds(10)
  /// How long the replies of a server that is no master any more are awaited if it has been silent.
  ///
  /// One that was stopped, and goes on after another has taken over, would acknowledge writes that are lost.
  private static let farewell = TimeAmount.milliseconds(100)

  let configuration: RedisConfiguration
  let scripts: KnownScripts
  let seeds: [Endpoint]
  let connector: RedisConnector
  let logger: Logger
  /// There from the first map on.
  let map: Awaited<Void>
  let state = Mutex(State())
  private let starts: AsyncStream<RedisNode>
  private let start: AsyncStream<RedisNode>.Continuation
  /// Signalled when there is a reason to ask for a new map.
  private let refresh = WakeUp()

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
  }

  // MARK: Life

  /// Keeps the connections to all masters until the task is cancelled.
  ///
  /// - Parameter changed: Learns that there may be other masters than before.
  func run(_ changed: @escaping @Sendable () -> Void) async {
    map.started()
    refresh.signal()
    await withTaskCancellationHandler {
      await withDiscardingTaskGroup { group in
        group.addTask { await ClusterRefresher(router: self).run(self.refresh, changed) }
        for await node in starts { group.addTask { await node.run() } }
      }
    } onCancel: {
      // Whoever still waits for a map must not do so while replies in flight are awaited.
      state.withLock { $0.isOver = true }
      map.shutDown(RedisError(.shutDown, message: "The client has been shut down."))
    }
  }

  /// Asks for a new map; many reasons in one moment ask once.
  func askForRefresh(_ hint: Endpoint? = nil) {
    if let hint { state.withLock { $0.hint = hint } }
    refresh.signal()
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

  /// Takes what some servers say about the cluster.
  ///
  /// - Returns: Whether there is a map among it that can be believed.
  func received(_ reports: [ClusterView.Report]) -> Bool {
    let now = connector.eventLoop.now
    let patience = TimeAmount(clamping: configuration.commandTimeout)
    let change = state.withLock { state -> (before: Set<Endpoint>, now: Set<Endpoint>, gone: [(node: RedisNode, grace: TimeAmount)])? in
      let before = state.view.map?.owningMasters ?? []
      guard state.view.received(reports, now: Duration(now - .uptimeNanoseconds(0))) else { return nil }
      let gone = reconcile(&state, now: now).map { (node: $0, grace: $1 ? Self.farewell : patience) }
      return (before, state.view.map?.owningMasters ?? [], gone)
    }
    guard let change else { return false }
    for (node, grace) in change.gone {
      node.end(RedisError(.connectionFailed, message: "\(node.locator.name) is no master of the cluster any more."), grace: grace)
    }
    map.provide(())
    if !change.before.isEmpty, change.before != change.now {
      func list(_ endpoints: Set<Endpoint>) -> String { endpoints.map(\.description).sorted().joined(separator: " ") }
      logger.notice(
        "The cluster has other masters", metadata: ["from": "\(list(change.before))", "to": "\(list(change.now))"])
    }
    return true
  }

  /// No server told the map: callers that wait for the first map get the error.
  func refreshFailed(_ error: RedisError) {
    if map.current == nil { map.attemptFailed(error) }
  }

  /// Looks which servers do not answer.
  ///
  /// - Parameter owing: The connections that owed replies at the last look, and when something had last arrived on them.
  /// - Returns: Whether all masters are connected and answer.
  func look(_ owing: inout [ObjectIdentifier: NIODeadline]) -> Bool {
    state.withLock { state in
      let before = owing
      owing = [:]
      state.silent = [:]
      for (endpoint, node) in state.nodes {
        guard let connection = node.current, connection.isBusy else { continue }
        let lastArrival = connection.lastArrival
        owing[ObjectIdentifier(connection)] = lastArrival
        if before[ObjectIdentifier(connection)] == lastArrival { state.silent[endpoint] = lastArrival }
      }
      return state.silent.isEmpty && state.masters.allSatisfy { $0.current?.isClosed == false }
    }
  }

  /// Gives each master of the map its node; the nodes that are of no more use, and whether they are silent.
  private func reconcile(_ state: inout State, now: NIODeadline) -> [(RedisNode, isSilent: Bool)] {
    guard let map = state.view.map else { return [] }
    state.masters = map.masters.map { node(at: $0, &state) }
    state.asked = state.asked.filter { now - $0.value < Self.memory }
    let masters = Set(map.masters)
    let gone = state.nodes.keys.filter { !masters.contains($0) && state.asked[$0] == nil }
    let nodes = gone.compactMap { endpoint in state.nodes[endpoint].map { ($0, isSilent: state.isSilent(endpoint)) } }
    for endpoint in gone { state.nodes[endpoint] = nil }
    if let (endpoint, _) = state.chosen, !masters.contains(endpoint) { state.chosen = nil }
    return nodes
  }

  /// The node of a server; a new one if there is none.
  func node(at endpoint: Endpoint, _ state: inout State) -> RedisNode {
    if let known = state.nodes[endpoint] { return known }
    let node = RedisNode(.fixed(endpoint), configuration: configuration, connector: connector, scripts: scripts, logger: logger)
    state.nodes[endpoint] = node
    start.yield(node)
    return node
  }
}
