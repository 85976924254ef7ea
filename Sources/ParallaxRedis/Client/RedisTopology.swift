import Logging
import NIOCore

/// The servers, and the way to find the server of a command.
///
/// An enumeration instead of a protocol, to keep the path of a command short.
enum RedisTopology: Sendable {
  /// A single server, or the master that the sentinels name.
  case single(RedisNode, SentinelMonitor?)
  case cluster(ClusterRouter)

  init(connector: RedisConnector, scripts: KnownScripts, logger: Logger) {
    let configuration = connector.configuration
    func node(_ locator: ServerLocator) -> RedisNode {
      RedisNode(locator, configuration: configuration, connector: connector, scripts: scripts, logger: logger)
    }
    switch configuration.deployment {
    case .standalone(let endpoint): self = .single(node(.fixed(endpoint)), nil)
    case .sentinel(let settings):
      let monitor = SentinelMonitor(settings, connector: connector, logger: logger)
      self = .single(node(monitor.locator), monitor)
    case .cluster(let nodes):
      self = .cluster(ClusterRouter(seeds: nodes, connector: connector, scripts: scripts, logger: logger))
    }
  }

  /// Keeps the connections until the task is cancelled.
  ///
  /// - Parameter changed: Called when other servers may be in charge.
  func run(_ changed: @escaping @Sendable () -> Void) async {
    switch self {
    case .single(let node, nil): await node.run()
    case .single(let node, let monitor?):
      await withDiscardingTaskGroup { group in
        group.addTask { await node.run() }
        group.addTask {
          await monitor.run {
            node.leaveMaster()
          } asked: {
            node.followServers()
            changed()
          }
        }
      }
    case .cluster(let cluster): await cluster.run(changed)
    }
  }

  var status: RedisConnectionStatus {
    switch self {
    case .single(let node, _): node.status
    case .cluster(let cluster): cluster.status
    }
  }

  @inline(__always)
  nonisolated(nonsending) func send(_ command: RedisCommand) async throws -> RESPValue {
    switch self {
    case .single(let node, _): try await node.send(command)
    case .cluster(let cluster): try await cluster.send(command)
    }
  }

  nonisolated(nonsending) func pipeline(_ commands: [RedisCommand]) async throws -> [Result<RESPValue, RedisError>] {
    switch self {
    case .single(let node, _): try await node.pipeline(commands)
    case .cluster(let cluster): try await cluster.pipeline(commands)
    }
  }

  nonisolated(nonsending) func lease(forKey key: String?) async throws -> RedisLeasedConnection {
    switch self {
    case .single(let node, _): try await node.lease()
    case .cluster(let cluster): try await cluster.lease(forKey: key)
    }
  }

  /// The server of subscriptions.
  var subscriptions: ServerLocator {
    switch self {
    case .single(_, let monitor?): monitor.locator
    case .single(let node, nil): node.locator
    case .cluster(let cluster): cluster.subscriptions
    }
  }
}

extension SentinelMonitor {
  var locator: ServerLocator {
    ServerLocator(name: "the master \(masterName)", mustBeMaster: true) { () async throws(RedisError) in
      try await self.locate()
    } isCurrent: { endpoint in
      self.isMaster(endpoint)
    }
  }
}
