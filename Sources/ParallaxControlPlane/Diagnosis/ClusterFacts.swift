import ParallaxAPI
import ParallaxHA
import ParallaxRedisStores

/// What a node knows about its cluster, or what its store tells before it starts; a value without judgment.
struct ClusterFacts: Sendable {
  /// A member, as the examining program sees it.
  struct Member: Sendable, Hashable {
    var id: String
    var incarnation: String
    /// The member's cluster; nil if it runs alone.
    var clusterID: String?
    var address: String
    /// Whether the member has written lately.
    var isAlive: Bool
    /// Whether the member reports that it can work.
    var isHealthy: Bool
    /// Whether the member claims to lead.
    var claimsToLead: Bool
    /// Whether the claim overlaps with that of a newer term; only a node that has seen several writes knows.
    var isBelieved: Bool
    var term: Int64
    /// By how much the member's clock is ahead of that of the examining program: between these bounds; nil if unknown.
    var clock: ClosedRange<Duration>?
  }

  /// The state of the election.
  struct Election: Sendable, Hashable {
    /// The state of the record.
    enum Record: Sendable, Hashable {
      case absent
      /// A mark that there was no record; a candidate takes it after a lease.
      case bootstrap
      /// The last leader has given it up.
      case released
      case held(by: String)
    }

    var record: Record
    /// The cluster of the record; nil if unknown or absent.
    var clusterID: String?
    var term: Int64 = 0
    var isPaused = false
    /// The time until the leader's lease ends; zero after its end, nil if only a running node could know.
    var leaseRemaining: Duration?
    /// The leader's lease; nil if unknown.
    var leaseDuration: Duration?
    /// What the election itself reports.
    var problem: String?
  }

  /// The lag of events through the store.
  struct Sync: Sendable, Hashable {
    /// The delay of the last event; nil before the first.
    var last: Duration?
    /// The age of the oldest event that has not come back; nil without one.
    var overdue: Duration?
    /// The number of events that wait for their publication.
    var waiting: Int
  }

  /// The work of lost nodes.
  struct Backlog: Sendable, Hashable {
    var sessions: Int
    var executions: Int
  }

  var nodeID: String
  /// The session of the running node; nil before its start.
  var incarnation: String?
  /// The cluster; nil if the node runs alone.
  var clusterID: String?
  /// Whether the store is shared with other processes.
  var isShared = true
  /// Whether the node campaigns (`highAvailability.leaderElection.enabled`).
  var campaigns = true
  var keyPrefix: String
  /// The node's own lease.
  var leaseDuration: Duration
  /// The process that took over this node's id, as the node noticed; nil for none.
  var twin: Member?
  var members: Fact<[Member]>
  /// The ids of unreadable fields, each with the reason.
  var unreadable: [String: String] = [:]
  var election: Fact<Election>
  var sync: Fact<Sync>
  var backlog: Fact<Backlog>

  var isRunning: Bool { incarnation != nil }
}
