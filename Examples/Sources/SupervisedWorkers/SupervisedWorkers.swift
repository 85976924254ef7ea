import CustomElectionStore
import Foundation
import ParallaxHA

/// A supervisor of three workers, of which one leads: when one ends, whatever the reason, another leads at once.
///
/// Run `swift run SupervisedWorkers /tmp/leader.json`, and kill the worker that leads (`kill -9`, with the process id that it prints). The
/// lease is a minute, and yet another worker leads within milliseconds: the supervisor is the parent of the workers, so the kernel tells it
/// that one has ended, and it says so in the store.
@main struct SupervisedWorkers {
  static let timings: ElectionTimings = {
    guard let timings = try? ElectionTimings(leaseDuration: .seconds(60)) else { preconditionFailure("a minute is a valid lease") }
    return timings
  }()

  static func main() async throws {
    let arguments = CommandLine.arguments
    switch arguments.count {
    case 2: try await supervise(FileElectionStore(path: arguments[1]), path: arguments[1])
    case 4: try await work(as: NodeSession(nodeID: arguments[2], incarnation: arguments[3]), on: FileElectionStore(path: arguments[1]))
    default:
      print("usage: SupervisedWorkers FILE")
      exit(2)
    }
  }

  // MARK: The supervisor

  private static func supervise(_ store: FileElectionStore, path: String) async throws {
    try await withThrowingTaskGroup(of: Void.self) { group in
      for number in 1...3 {
        group.addTask {
          while !Task.isCancelled { try await runOnce("worker-\(number)", store, path: path) }
        }
      }
      try await group.waitForAll()
    }
  }

  /// Runs a worker to its end, and then gives back what it held.
  private static func runOnce(_ nodeID: String, _ store: FileElectionStore, path: String) async throws {
    // The supervisor chooses the incarnation, because it must name it after the worker's end.
    let session = NodeSession.starting(nodeID: nodeID)
    let worker = Process()
    worker.executableURL = URL(filePath: CommandLine.arguments[0])
    worker.arguments = [path, session.nodeID, session.incarnation]
    let (ends, end) = AsyncStream.makeStream(of: Void.self)
    // Called when the parent has received the status of the child: that is the proof.
    worker.terminationHandler = { _ in end.finish() }
    try worker.run()
    for await _ in ends {}
    print("\(nodeID) has ended")
    // The call goes on looking for a lease; the next life of the worker need not wait for it.
    Task {
      try await store.recordDeath(of: session.nodeID, incarnation: session.incarnation, timings: timings) { token in
        print("\(nodeID) led term \(token.term), which is free now")
      }
    }
    try await Task.sleep(for: .seconds(1))
  }

  // MARK: A worker

  private static func work(as session: NodeSession, on store: FileElectionStore) async throws {
    // A minute is much to wait for the first leader; nobody else may use this file.
    let configuration = ElectionConfiguration(timings: timings, bootstrapWait: .zero)
    let election = LeaderElection(store: store, session: session, configuration: configuration, clock: ContinuousClock())
    try await election.campaign { token in
      print("\(session.nodeID) leads term \(token.term): kill -9 \(ProcessInfo.processInfo.processIdentifier)")
      while true { try await Task.sleep(for: .seconds(1)) }
    }
  }
}
