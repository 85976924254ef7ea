/// The settings of a node's part in an election.
public struct ElectionConfiguration: Sendable, Hashable {
  /// The name of the cluster; `default` by default.
  ///
  /// A node does not touch the record of another cluster.
  public var clusterID: String
  /// The address of this node for other nodes and people, shown in the record; none by default.
  public var address: String?
  /// The durations of the election; ``ElectionTimings/standard`` by default.
  public var timings: ElectionTimings
  /// The rank of this node among candidates for a lost leader's term, from -100 to 100; 0 by default.
  ///
  /// A candidate with a greater rank goes first. Ranks count in powers of two: 1 goes ahead of 0, 2 and 3 go ahead of 1, 4 to 7 go ahead of
  /// those, and so on.
  public var priority: Int
  /// Whether the node campaigns instead of only observing; `true` by default.
  public var campaigns: Bool
  /// Whether the node takes over from its own former incarnation at once; `false` by default.
  ///
  /// Only for deployments that guarantee one process per node id.
  public var reclaimsOnRestart: Bool
  /// How long a candidate waits for a missing record if it has never seen one; `nil`, the default, is one lease.
  ///
  /// A shorter wait accepts that a loss of the store's data together with a lost call may depose a leader.
  public var bootstrapWait: Duration?

  /// Creates a configuration.
  ///
  /// - Parameters:
  ///   - clusterID: The name of the cluster.
  ///   - address: The address of this node.
  ///   - timings: The durations of the election.
  ///   - priority: The rank among candidates; limited to the range from -100 to 100.
  ///   - campaigns: Whether the node campaigns.
  ///   - reclaimsOnRestart: Whether it takes over from its own former incarnation at once.
  ///   - bootstrapWait: How long to wait for a missing record; `nil` is one lease.
  public init(
    clusterID: String = "default", address: String? = nil, timings: ElectionTimings = .standard, priority: Int = 0, campaigns: Bool = true,
    reclaimsOnRestart: Bool = false, bootstrapWait: Duration? = nil
  ) {
    self.clusterID = clusterID
    self.address = address
    self.timings = timings
    self.priority = min(max(priority, -100), 100)
    self.campaigns = campaigns
    self.reclaimsOnRestart = reclaimsOnRestart
    self.bootstrapWait = bootstrapWait
  }
}
