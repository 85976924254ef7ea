/// Which servers there are, and which of them a command is for.
protocol RedisTopology: Sendable {
  /// The node for a command; `nil` asks for the node that takes writes.
  func node(for command: RedisCommand?) -> RedisNode

  var status: RedisConnectionStatus { get }

  /// Keeps the connections until the task is cancelled.
  func run() async
}

/// A single server.
struct StandaloneTopology: RedisTopology {
  let node: RedisNode

  func node(for command: RedisCommand?) -> RedisNode { node }

  var status: RedisConnectionStatus { node.status }

  func run() async { await node.run() }
}
