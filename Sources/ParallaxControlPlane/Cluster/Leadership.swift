import ParallaxAPI
import ParallaxConcurrency
import ParallaxHA
import ParallaxState
import ServiceLifecycle

/// The election that a node takes part in.
typealias NodeElection = LeaderElection<AnyElectionStore, MonotonicClock>

/// Campaigns for leadership, runs the leader's duties while the node leads, and publishes each change of leadership.
struct Leadership: Service {
  let election: NodeElection
  let duties: LeaderDuties<MonotonicClock>
  let members: NodeMembers
  let publisher: EventPublisher

  func run() async throws {
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { await election.observe() }
      group.addTask { await publishChanges() }
      if election.configuration.campaigns {
        group.addTask {
          do {
            try await election.campaign { token in await duties.run(token) }
          } catch is CancellationError {
            // The node stops.
          }
        }
      }
      try await group.waitForAll()
    }
  }

  private func publishChanges() async {
    var wasLeader = false
    for await status in election.changes() where status.isLeader != wasLeader {
      wasLeader = status.isLeader
      members.announce()
      let details: JSONValue = ["term": .integer(status.term)]
      publisher.publish(wasLeader ? "elected" : "stepped_down", id: election.session.nodeID, details: details, on: .cluster)
    }
  }
}
