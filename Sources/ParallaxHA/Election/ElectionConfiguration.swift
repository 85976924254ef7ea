/// How a node takes part in an election.
public struct ElectionConfiguration: Sendable, Hashable {
  /// Tells clusters apart; `default` by default.
  ///
  /// A node leaves alone the record of another cluster.
  public var clusterID: String
  /// Where other nodes and people reach this node, as shown in the record; none by default.
  public var address: String?
  /// The durations that the election runs by; ``ElectionTimings/standard`` by default.
  public var timings: ElectionTimings
  /// Candidates with a greater priority go first when several could take over a lost leader's term; 0 by default, from -100 to 100.
  ///
  /// It orders by powers of two: 1 goes ahead of 0, 2 and 3 ahead of 1, 4 to 7 ahead of those, and so on.
  public var priority: Int
  /// Whether the node campaigns at all, or only watches; `true` by default.
  public var campaigns: Bool
  /// Whether the node takes over from its own former incarnation at once; `false` by default.
  ///
  /// Only for deployments that guarantee one process per node id.
  public var reclaimsOnRestart: Bool
  /// How long a candidate that has seen no record before waits on an absent one; one lease if `nil`, which is the default.
  ///
  /// A shorter wait accepts that the loss of the store's data together with a call may depose a leader.
  public var bootstrapWait: Duration?

  /// Makes a configuration.
  ///
  /// - Parameters:
  ///   - clusterID: Tells clusters apart.
  ///   - address: Where this node is reached.
  ///   - timings: The durations that the election runs by.
  ///   - priority: Who goes first; clamped to -100 to 100.
  ///   - campaigns: Whether the node campaigns at all.
  ///   - reclaimsOnRestart: Whether it takes over from its own former incarnation at once.
  ///   - bootstrapWait: How long to wait on an absent record; one lease if `nil`.
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
