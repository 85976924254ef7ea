/// A node's view of its cluster, from `CLUSTER NODES`.
struct RedisClusterView {
  struct Node {
    var identifier: String
    var port: Int
    var flags: Set<String>
    /// The identifier of a replica's primary; nil for a primary.
    var primary: String?
    var epoch: Int
    var isConnected: Bool
    var slots: [ClosedRange<Int>]

    var isPrimary: Bool { flags.contains("master") }
  }

  var nodes: [Node]

  /// The node of this view.
  var own: Node? { nodes.first { $0.flags.contains("myself") } }

  /// The owners of all slots; equal in the views of nodes that agree.
  var ownership: Set<String> {
    Set(nodes.flatMap { node in node.slots.map { "\($0) \(node.port)" } })
  }

  /// The port of a slot's owner.
  func owner(ofSlot slot: Int) -> Int? {
    nodes.first { $0.slots.contains { $0.contains(slot) } }?.port
  }

  init(_ connection: RawRedisConnection) throws {
    let lines = try connection.command("CLUSTER", "NODES").text?.split(separator: "\n") ?? []
    nodes = lines.compactMap(Self.node)
  }

  private static func node(_ line: Substring) -> Node? {
    let words = line.split(separator: " ").map(String.init)
    guard words.count >= 8, let address = words[1].split(separator: "@").first,
      let port = address.split(separator: ":").last.flatMap({ Int($0) }),
      let epoch = Int(words[6])
    else { return nil }
    // Brackets mark slots in migration.
    let slots = words[8...].filter { !$0.hasPrefix("[") }.compactMap { word -> ClosedRange<Int>? in
      let ends = word.split(separator: "-").compactMap { Int($0) }
      return ends.first.map { $0...(ends.last ?? $0) }
    }
    return Node(
      identifier: words[0], port: port, flags: Set(words[2].split(separator: ",").map(String.init)),
      primary: words[3] == "-" ? nil : words[3],
      epoch: epoch, isConnected: words[7] == "connected", slots: slots)
  }
}
