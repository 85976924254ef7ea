import ParallaxHA
import ParallaxMetrics

/// The metrics of the specification, computed at each scrape from what the node knows at that moment.
enum ClusterMetrics {
  static func register(
    in registry: MetricsRegistry, election: NodeElection, membership: NodeMembership
  ) throws {
    let nodeID = election.session.nodeID
    try registry.registerGauge("parallax_ha_is_leader", help: "Whether this node holds a valid term: 1 or 0.", labels: ["node"]) {
      [MetricSample(election.isLeader ? 1 : 0, labelValues: [nodeID])]
    }
    try registry.registerGauge("parallax_ha_cluster_members", help: "Members of the cluster, silent ones included.") {
      [MetricSample(Double(membership.lastView?.members.count ?? 0))]
    }
    try registry.registerGauge("parallax_ha_healthy_members", help: "Members of the cluster that can be given work.") {
      [MetricSample(Double(membership.lastView?.healthyCount ?? 0))]
    }
    try registry.registerCounter(
      "parallax_ha_elections_total", help: "How many times leadership has been taken, as the election's record counts."
    ) {
      [MetricSample(Double(election.status.transitions))]
    }
    try registry.registerGauge("parallax_ha_term", help: "The term of the election's record; 0 before the first.") {
      [MetricSample(Double(election.status.term))]
    }
    try registry.registerGauge(
      "parallax_ha_lease_remaining_seconds", help: "For how long the leader's lease stands without another renewal."
    ) {
      [MetricSample((election.status.leaseRemaining ?? .zero) / .seconds(1))]
    }
  }
}
