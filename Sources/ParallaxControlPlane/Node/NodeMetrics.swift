import ParallaxHA
import ParallaxMetrics
import Synchronization

/// The node's gauges, which each scrape sets from one reading of each part.
///
/// The reading compares the lease with the clock: `parallax_ha_is_leader` is 0 once the lease has expired, even if a timer is late.
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

  /// Holds the number of transitions, which the election record counts, for the callback of its counter.
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
      "parallax_ha_lease_remaining_seconds", help: "Time until the leader's lease expires without another renewal."
    ).withLabels()
    memberCount = try registry.makeGauge("parallax_ha_cluster_members", help: "Members of the cluster, silent ones included.")
      .withLabels()
    healthyCount = try registry.makeGauge("parallax_ha_healthy_members", help: "Healthy members of the cluster.")
      .withLabels()
    executions = try registry.makeGauge("parallax_executions_active", help: "Executions that this node drives.").withLabels()
    agents = try registry.makeGauge("parallax_agents_connected", help: "Registered agents that are connected to this node.").withLabels()
    let transitions = Transitions()
    self.transitions = transitions
    try registry.registerCounter(
      "parallax_ha_elections_total", help: "Changes of leadership, as counted in the election's record."
    ) {
      [MetricSample(Double(transitions.count.load(ordering: .relaxed)))]
    }
  }

  /// Sets the gauges; to be called ahead of each scrape.
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
