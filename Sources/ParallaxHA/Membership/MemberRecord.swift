#if canImport(FoundationEssentials)
public import FoundationEssentials
#else
public import Foundation
#endif

/// A node's role in the election.
public enum MemberRole: String, Sendable, Hashable, Codable, CaseIterable {
  /// The node holds a term.
  case leader
  /// The node does not lead; it may campaign or only observe.
  case standby
}

/// A node's health, by its own checks.
public enum MemberHealth: String, Sendable, Hashable, Codable, CaseIterable {
  /// All checks pass.
  case healthy
  /// The node works with a fault.
  case degraded
  /// The node should not be given work.
  case unhealthy
}

/// A node's state at a heartbeat.
///
/// ``Membership`` asks for a report whenever it writes the node's field.
public struct MemberReport: Sendable, Hashable {
  /// The node's role in the election.
  public var role: MemberRole

  /// The term that the node leads, or the highest term that it knows; 0 when it knows none.
  public var term: Int64

  /// The node's health.
  public var health: MemberHealth

  /// How many executions the node drives.
  public var executions: Int

  /// How many agents are connected to the node.
  public var agents: Int

  /// Makes a report; without arguments, the report of a healthy, idle standby.
  public init(role: MemberRole = .standby, term: Int64 = 0, health: MemberHealth = .healthy, executions: Int = 0, agents: Int = 0) {
    self.role = role
    self.term = term
    self.health = health
    self.executions = executions
    self.agents = agents
  }
}

/// One node's field among the members of the cluster.
///
/// Other nodes tell that the node lives by a change of (`incarnation`, `sequence`) alone; the instants are for people to read, and are
/// never compared. In JSON instants are ISO 8601 in UTC, durations whole milliseconds, and `format` is the version of this shape.
public struct MemberRecord: Sendable, Hashable, Identifiable {
  /// The version of the JSON that this version of the library writes, and the newest that it reads.
  public static let formatVersion = 1

  /// The node's id, unique in the cluster and stable over restarts.
  public var id: String

  /// Where the node's API is reached, `host:port`.
  public var address: String

  /// Random per process start; told apart, never ordered.
  public var incarnation: String

  /// The cluster that the node takes part in; nil if it runs alone.
  public var clusterID: String?

  /// Grows by one with each write of this incarnation.
  public var sequence: Int64

  /// The node's state when it wrote the record.
  public var report: MemberReport

  /// How often the node writes; other nodes wait at least as long.
  public var checkInterval: Duration

  /// When the node's process started, by the node's wall clock, to the millisecond.
  public var startedAt: Date {
    didSet { startedAt = startedAt.wholeMilliseconds }
  }

  /// When the record was written, by the node's wall clock, to the millisecond.
  public var lastHeartbeat: Date {
    didSet { lastHeartbeat = lastHeartbeat.wholeMilliseconds }
  }

  /// The version of the software that the node runs.
  public var version: String

  /// Makes a record.
  ///
  /// - Parameters:
  ///   - session: The node's id and incarnation.
  ///   - clusterID: The cluster that the node takes part in; nil if it runs alone.
  ///   - address: Where the node's API is reached.
  ///   - sequence: The number of this write.
  ///   - report: The node's state.
  ///   - checkInterval: How often the node writes.
  ///   - startedAt: When the process started; rounded to milliseconds.
  ///   - lastHeartbeat: When the record is written; rounded to milliseconds.
  ///   - version: The version of the software.
  public init(
    session: NodeSession, clusterID: String? = nil, address: String, sequence: Int64, report: MemberReport = MemberReport(),
    checkInterval: Duration = .seconds(5), startedAt: Date, lastHeartbeat: Date, version: String
  ) {
    id = session.nodeID
    incarnation = session.incarnation
    self.clusterID = clusterID
    self.address = address
    self.sequence = sequence
    self.report = report
    self.checkInterval = checkInterval
    self.startedAt = startedAt.wholeMilliseconds
    self.lastHeartbeat = lastHeartbeat.wholeMilliseconds
    self.version = version
  }

  /// The life of the node that wrote the record.
  public var session: NodeSession { NodeSession(nodeID: id, incarnation: incarnation) }

  /// The node's role in the election.
  public var role: MemberRole { report.role }

  /// The term that the node leads, or the highest that it knows.
  public var term: Int64 { report.term }
}

extension Date {
  /// The instant in whole milliseconds, so that a record reads back from JSON as it was written.
  var wholeMilliseconds: Date {
    Date(timeIntervalSince1970: (timeIntervalSince1970 * 1_000).rounded() / 1_000)
  }
}
