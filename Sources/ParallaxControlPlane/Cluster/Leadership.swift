import ParallaxAPI
import ParallaxConcurrency
import ParallaxHA
import ParallaxState
import ServiceLifecycle

/// The election as a node takes part in it.
typealias NodeElection = LeaderElection<AnyElectionStore, ContinuousClock>

/// A node's part in the leadership of its cluster: once the node has started, it campaigns, does the leader's duties while it leads, and
/// tells the others.
struct Leadership: Service {
  let election: NodeElection
  let duties: LeaderDuties<ContinuousClock>
  let members: NodeMembers
  let publisher: EventPublisher
  /// When the node has started: a node that cannot start must not lead, and may find a record that it may not touch.
  let started: Deferred<Void>

  func run() async throws {
    do {
      try await cancelWhenGracefulShutdown { try await started.value() }
    } catch is CancellationError {
      return
    }
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { await election.run() }
      group.addTask { await tellChanges() }
      if election.configuration.campaigns {
        group.addTask {
          do {
            try await election.run { fence in await duties.run(fence) }
          } catch is CancellationError {
            // The node stops.
          }
        }
      }
      try await group.waitForAll()
    }
  }

  private func tellChanges() async {
    var wasLeader = false
    for await status in election.changes() where status.isLeader != wasLeader {
      wasLeader = status.isLeader
      members.announce()
      let details: JSONValue = ["term": .integer(status.term)]
      publisher.publish(wasLeader ? "elected" : "stepped_down", id: election.session.nodeID, details: details, on: .cluster)
    }
  }
}
