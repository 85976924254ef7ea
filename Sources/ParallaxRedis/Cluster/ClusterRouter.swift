import Logging
import NIOCore
import ParallaxConcurrency
import Synchronization

/// The masters of a cluster, the map of their slots, and the routing of commands.
final class ClusterRouter: Sendable {
  typealias Endpoint = RedisConfiguration.Endpoint

  struct State {
    var view = ClusterView()
    /// The node of each master, in the order of the map.
    var masters: [RedisNode] = []
    var nodes: [Endpoint: RedisNode] = [:]
    /// The master of commands without a key.
    var chosen: (Endpoint, RedisNode)?
    /// The time of the last command that was redirected with ASK to each server: such a server may be missing from the map.
    var lastRedirected: [Endpoint: NIODeadline] = [:]
    /// The server that is most likely to know the latest change.
    var hint: Endpoint?
    /// The servers that owe replies and have been silent for a while, each with the beginning of its silence.
    var silent: [Endpoint: NIODeadline] = [:]
    var isOver = false

    /// Whether a server owes replies and has been silent for a while.
    func isSilent(_ endpoint: Endpoint) -> Bool {
      guard let since = silent[endpoint], let connection = nodes[endpoint]?.current else { return false }
      return connection.isBusy && connection.lastArrival == since
    }
  }

  /// How long a server outside the map is kept after the last command that was redirected to it.
  private static let redirectionRetention = TimeAmount.seconds(10)
  /// How long the replies of a silent server are awaited after it has ceased to be a master.
  ///
  /// A server that was suspended and resumes after a failover would acknowledge writes that are lost.
  private static let silentServerGrace = TimeAmount.milliseconds(100)

  let configuration: RedisConfiguration
  let scripts: KnownScripts
  let seeds: [Endpoint]
  let connector: RedisConnector
  let logger: Logger
  /// Available from the first map on.
  let map: Awaited<Void>
  let state = Mutex(State())
  private let starts: AsyncStream<RedisNode>
  private let start: AsyncStream<RedisNode>.Continuation
  /// Signaled to request a new map.
  private let refresh = WakeUp()

  /// - Parameters:
  ///   - seeds: Some servers of the cluster.
  ///   - connector: Opens connections.
  ///   - scripts: The scripts that each connection loads first.
  ///   - logger: The logger of outages and of changes of the masters.
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
  /// - Parameter changed: Called when the masters may have changed.
  func run(_ changed: @escaping @Sendable () -> Void) async {
    map.started()
    refresh.signal()
    await withTaskCancellationHandler {
      await withDiscardingTaskGroup { group in
        group.addTask { await ClusterRefresher(router: self).run(self.refresh, changed) }
        for await node in starts { group.addTask { await node.run() } }
      }
    } onCancel: {
      // Callers that wait for a map must fail before the wait for replies in flight.
      state.withLock { $0.isOver = true }
      map.shutDown(RedisError(.shutDown, message: "The client has been shut down."))
    }
  }

  /// Requests a new map; requests of one moment count as one.
  func askForRefresh(_ hint: Endpoint? = nil) {
    if let hint { state.withLock { $0.hint = hint } }
    refresh.signal()
  }

  /// The status of the master in the worst state.
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

  /// The masters with slots.
  var owningMasters: [RedisNode] {
    state.withLock { state in
      state.view.map.map { map in map.owningMasters.compactMap { state.nodes[$0] } } ?? []
    }
  }

  /// Applies the reports of some servers.
  ///
  /// - Returns: Whether the reports contain a credible map.
  func received(_ reports: [ClusterView.Report]) -> Bool {
    let now = connector.eventLoop.now
    let grace = TimeAmount(clamping: configuration.commandTimeout)
    let change = state.withLock { state -> (before: Set<Endpoint>, now: Set<Endpoint>, obsolete: [(node: RedisNode, grace: TimeAmount)])? in
      let before = state.view.map?.owningMasters ?? []
      guard state.view.received(reports, now: Duration(now - .uptimeNanoseconds(0))) else { return nil }
      let obsolete = reconcile(&state, now: now).map { (node: $0, grace: $1 ? Self.silentServerGrace : grace) }
      return (before, state.view.map?.owningMasters ?? [], obsolete)
    }
    guard let change else { return false }
    for (node, grace) in change.obsolete {
      node.end(RedisError(.connectionFailed, message: "\(node.locator.name) is no longer a master of the cluster."), grace: grace)
    }
    map.provide(())
    if !change.before.isEmpty, change.before != change.now {
      func list(_ endpoints: Set<Endpoint>) -> String { endpoints.map(\.description).sorted().joined(separator: " ") }
      logger.notice(
        "The cluster's masters have changed", metadata: ["from": "\(list(change.before))", "to": "\(list(change.now))"])
    }
    return true
  }

  /// No server reported a map: callers that wait for the first map fail with the error.
  func refreshFailed(_ error: RedisError) {
    if map.current == nil { map.attemptFailed(error) }
  }

  /// Finds the servers that do not answer.
  ///
  /// - Parameter owing: The connections that owed replies at the last check, each with the time of its last arrival.
  /// - Returns: Whether all masters are connected and answer.
  func checkSilence(_ owing: inout [ObjectIdentifier: NIODeadline]) -> Bool {
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

  /// Assigns a node to each master of the map; returns the obsolete nodes, and whether each is silent.
  private func reconcile(_ state: inout State, now: NIODeadline) -> [(RedisNode, isSilent: Bool)] {
    guard let map = state.view.map else { return [] }
    state.masters = map.masters.map { node(at: $0, &state) }
    state.lastRedirected = state.lastRedirected.filter { now - $0.value < Self.redirectionRetention }
    let masters = Set(map.masters)
    let obsolete = state.nodes.keys.filter { !masters.contains($0) && state.lastRedirected[$0] == nil }
    let nodes = obsolete.compactMap { endpoint in state.nodes[endpoint].map { ($0, isSilent: state.isSilent(endpoint)) } }
    for endpoint in obsolete { state.nodes[endpoint] = nil }
    if let (endpoint, _) = state.chosen, !masters.contains(endpoint) { state.chosen = nil }
    return nodes
  }

  /// The node of a server, created if necessary.
  func node(at endpoint: Endpoint, _ state: inout State) -> RedisNode {
    if let known = state.nodes[endpoint] { return known }
    let node = RedisNode(.fixed(endpoint), configuration: configuration, connector: connector, scripts: scripts, logger: logger)
    state.nodes[endpoint] = node
    start.yield(node)
    return node
  }
}
