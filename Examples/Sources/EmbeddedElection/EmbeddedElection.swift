import CustomElectionStore
import Foundation
import Logging
import ParallaxHA
import ServiceLifecycle
import UnixSignals

#if Redis
import ParallaxRedis
import ParallaxRedisStores
#endif

/// A service with one leader.
///
/// Run `swift run EmbeddedElection worker-1 /tmp/leader.json` in two or three terminals, each with an id of its own: one of them leads.
/// Stop it with Ctrl-C, and another one leads at once; kill it, and another one leads when its lease of three seconds ends. On Redis the
/// processes may be on several machines: `swift run --traits Redis EmbeddedElection worker-1 redis://127.0.0.1`.
///
/// Without arguments three nodes run in one process over an in-memory store.
@main struct EmbeddedElection {
  static func main() async throws {
    let arguments = Array(CommandLine.arguments.dropFirst())
    switch arguments.count {
    case 0:
      let store = InMemoryElectionStore()
      let nodes = try (1...3).map { try Node("worker-\($0)", store: store) }
      try await run(nodes.map(\.service))
    case 2 where arguments[1].hasPrefix("redis"):
      #if Redis
      let client = try RedisClient(
        configuration: RedisConfiguration(url: arguments[1]), scripts: RedisElectionStore.scripts, logger: Logger(label: "redis"))
      let node = try Node(arguments[0], store: RedisElectionStore(client: client, key: "embedded-election:leader"))
      // A service group stops from the last to the first: the election needs its store to hand over.
      try await run([client, node.service])
      #else
      print("build with Redis: swift run --traits Redis EmbeddedElection \(arguments.joined(separator: " "))")
      exit(2)
      #endif
    case 2:
      try await run([Node(arguments[0], store: FileElectionStore(path: arguments[1])).service])
    default:
      print("usage: EmbeddedElection [NODE-ID FILE-OR-REDIS-URL]")
      exit(2)
    }
  }

  private static func run(_ services: [any Service]) async throws {
    let group = ServiceGroup(
      services: services, gracefulShutdownSignals: [.sigint, .sigterm], logger: Logger(label: "embedded-election"))
    try await group.run()
  }
}

/// One node: it prints the leader, and `tick` while it leads.
struct Node<Store: ElectionStore> {
  private let election: LeaderElection<Store, ContinuousClock>

  init(_ id: String, store: Store) throws {
    let timings = try ElectionTimings(leaseDuration: .seconds(3))
    election = LeaderElection(store: store, nodeID: id, configuration: ElectionConfiguration(timings: timings))
  }

  var service: any Service { NodeService(election: election) }
}

private struct NodeService<Store: ElectionStore>: Service {
  let election: LeaderElection<Store, ContinuousClock>

  func run() async throws {
    let changes = election.changes()
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask {
        // The stream ends when the election does.
        for await status in changes {
          print(
            "\(election.session.nodeID): \(status.leader ?? "nobody") leads, term \(status.term)\(status.problem.map { "; \($0)" } ?? "")")
        }
      }
      group.addTask {
        // Returns on a graceful shutdown, once the body has ended and the lease is released.
        try await election.campaign { token in
          while true {
            print("\(election.session.nodeID): tick, fenced by \(token)")
            try await Task.sleep(for: .seconds(1))
          }
        }
      }
      try await group.waitForAll()
    }
  }
}
