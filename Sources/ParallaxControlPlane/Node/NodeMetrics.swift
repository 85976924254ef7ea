import ParallaxAPI
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

  init(
    registry: MetricsRegistry, commit: String?, election: NodeElection, members: NodeMembers, dispatcher: Dispatcher, queues: QueueReports,
    clock: NodeClock
  ) throws {
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
    try registry.registerInfo(
      "parallax_build_info", help: "The version of the node and its commit, as labels; always 1.",
      facts: ["version": ParallaxNode.version, "commit": commit ?? "unknown"])
    try Self.register(queues, clock, registry)
  }

  /// Registers what an autoscaler of agents needs: the backlog alone would scale away agents that are busy.
  private static func register(_ queues: QueueReports, _ clock: NodeClock, _ registry: MetricsRegistry) throws {
    func gauge(_ name: String, _ help: String, _ value: @escaping @Sendable (QueueDocument) -> Double) throws {
      try registry.registerGauge(name, help: help, labels: ["capabilities"]) {
        queues.queues.map { MetricSample(value($0), labelValues: [$0.capabilities.joined(separator: ",")]) }
      }
    }
    try gauge("parallax_queue_waiting_executions", "Executions that wait for agents, by the capabilities that they need.") {
      Double($0.waiting)
    }
    try gauge("parallax_queue_running_executions", "Executions that agents work on, by the capabilities that they need.") {
      Double($0.running)
    }
    try gauge("parallax_queue_oldest_wait_seconds", "Age of the oldest execution that waits; 0 if none does.") { queue in
      queue.oldestSince.map { max(0, Double(clock.now.wall.milliseconds - $0.milliseconds) / 1_000) } ?? 0
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
