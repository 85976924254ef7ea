import ParallaxHA
import ParallaxMetrics
import Synchronization

/// The node's gauges, set at each scrape from one look at each part of the node.
///
/// Whether this node leads is compared with the clock at that moment: the gauge is 0 when the lease has run out, whatever timers did.
final class NodeMetrics: Sendable {
  private let election: NodeElection
  private let members: NodeMembers
  private let dispatcher: Dispatcher

  private let isLeader: GaugeSeries
  private let term: GaugeSeries
  private let leaseRemaining: GaugeSeries
  private let memberCount: GaugeSeries
  private let healthyCount: GaugeSeries
  private let executions: GaugeSeries
  private let agents: GaugeSeries
  private let transitions: Transitions

  /// The one counter whose value others count.
  private final class Transitions: Sendable {
    let count = Atomic<Int64>(0)
  }

  init(registry: MetricsRegistry, election: NodeElection, members: NodeMembers, dispatcher: Dispatcher) throws {
    self.election = election
    self.members = members
    self.dispatcher = dispatcher
    isLeader = try registry.makeGauge("parallax_ha_is_leader", help: "Whether this node holds a valid term: 1 or 0.", labels: ["node"])
      .withLabels(election.session.nodeID)
    term = try registry.makeGauge("parallax_ha_term", help: "The term of the election's record; 0 before the first.").withLabels()
    leaseRemaining = try registry.makeGauge(
      "parallax_ha_lease_remaining_seconds", help: "For how long the leader's lease stands without another renewal."
    ).withLabels()
    memberCount = try registry.makeGauge("parallax_ha_cluster_members", help: "Members of the cluster, silent ones included.")
      .withLabels()
    healthyCount = try registry.makeGauge("parallax_ha_healthy_members", help: "Members of the cluster that can be given work.")
      .withLabels()
    executions = try registry.makeGauge("parallax_executions_active", help: "Executions that this node drives.").withLabels()
    agents = try registry.makeGauge("parallax_agents_connected", help: "Registered agents that are connected to this node.").withLabels()
    let transitions = Transitions()
    self.transitions = transitions
    try registry.registerCounter(
      "parallax_ha_elections_total", help: "How many times leadership has been taken, as the election's record counts."
    ) {
      [MetricSample(Double(transitions.count.load(ordering: .relaxed)))]
    }
  }

  /// Sets the gauges: called before the text of a scrape is made.
  func refresh() {
    let status = election.status
    isLeader.set(status.isLeader ? 1 : 0)
    term.set(Double(status.term))
    leaseRemaining.set((status.leaseRemaining ?? .zero) / .seconds(1))
    transitions.count.store(status.transitionCount, ordering: .relaxed)
    let view = members.view
    memberCount.set(Double(view.members.count))
    healthyCount.set(Double(view.healthyCount))
    let counts = dispatcher.counts
    executions.set(Double(counts.executions))
    agents.set(Double(counts.agents))
  }
}
