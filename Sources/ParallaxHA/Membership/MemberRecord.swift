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

/// A node's health by its own checks.
public enum MemberHealth: String, Sendable, Hashable, Codable, CaseIterable {
  /// All checks pass.
  case healthy
  /// The node works despite a fault.
  case degraded
  /// The node should not receive work.
  case unhealthy
}

/// A node's state at a heartbeat.
///
/// ``Membership`` requests a report for each write of the node's field.
public struct MemberReport: Sendable, Hashable {
  /// The node's role in the election.
  public var role: MemberRole

  /// The term that the node leads, or the highest one that it knows; 0 if it knows none.
  public var term: Int64

  /// The node's health.
  public var health: MemberHealth

  /// The number of executions that the node drives.
  public var executions: Int

  /// The number of agents connected to the node.
  public var agents: Int

  /// Creates a report; the defaults describe a healthy, idle standby.
  public init(role: MemberRole = .standby, term: Int64 = 0, health: MemberHealth = .healthy, executions: Int = 0, agents: Int = 0) {
    self.role = role
    self.term = term
    self.health = health
    self.executions = executions
    self.agents = agents
  }
}

/// The proven end of a member's process, recorded by a witness.
public struct MemberEnd: Sendable, Hashable {
  /// How a process ended.
  public enum Cause: Sendable, Hashable, CustomStringConvertible {
    /// A signal ended the process, such as 9 for SIGKILL.
    case signal(Int32)
    /// The process exited with this status.
    case status(Int32)

    /// The cause in words, such as `signal 9`.
    public var description: String {
      switch self {
      case .signal(let number): "signal \(number)"
      case .status(let status): "exit status \(status)"
      }
    }
  }

  /// When the witness noticed the end, by the witness' wall clock, to the millisecond; for people only.
  public var at: Date {
    didSet { at = at.wholeMilliseconds }
  }

  /// How the process ended; nil if only its parent knows.
  public var cause: Cause?

  /// Creates an end.
  ///
  /// - Parameters:
  ///   - at: When the witness noticed the end; rounded to milliseconds.
  ///   - cause: How the process ended; nil, the default, if that is unknown.
  public init(at: Date, cause: Cause? = nil) {
    self.at = at.wholeMilliseconds
    self.cause = cause
  }
}

/// The field of one node among the members of the cluster.
///
/// Other nodes detect a living node only by a change of (`incarnation`, `sequence`); the instants are for people and never compared. In
/// JSON instants are ISO 8601 in UTC, durations whole milliseconds, and `format` is the version of this form.
public struct MemberRecord: Sendable, Hashable, Identifiable {
  /// The version of the JSON that this version of the library writes, and the newest one that it reads.
  public static let formatVersion = 1

  /// The node's id, unique in the cluster and stable over restarts.
  public var id: String

  /// The address of the node's API, `host:port`.
  public var address: String

  /// Random per process start; compared for equality only, never ordered.
  public var incarnation: String

  /// The cluster of the node; nil if it runs alone.
  public var clusterID: String?

  /// The number of writes of this incarnation.
  public var sequence: Int64

  /// The node's state at the write of the record.
  public var report: MemberReport

  /// The interval of the node's writes; other nodes wait at least as long.
  public var checkInterval: Duration

  /// The start of the node's process by its wall clock, to the millisecond.
  public var startedAt: Date {
    didSet { startedAt = startedAt.wholeMilliseconds }
  }

  /// The write of the record by the node's wall clock, to the millisecond.
  public var lastHeartbeat: Date {
    didSet { lastHeartbeat = lastHeartbeat.wholeMilliseconds }
  }

  /// The version of the node's software.
  public var version: String

  /// The proven end of the node's process; nil as far as anybody knows that it lives.
  ///
  /// In JSON, `ended`: earlier versions ignore it, and wait for the silence. Only a witness writes it, see
  /// ``MembershipStore/markEnded(_:_:)``.
  public var end: MemberEnd?

  /// Creates a record.
  ///
  /// - Parameters:
  ///   - session: The node's id and incarnation.
  ///   - clusterID: The cluster of the node; nil, the default, if it runs alone.
  ///   - address: The address of the node's API.
  ///   - sequence: The number of this write.
  ///   - report: The node's state; that of a healthy, idle standby by default.
  ///   - checkInterval: The interval of the node's writes.
  ///   - startedAt: The start of the process; rounded to milliseconds.
  ///   - lastHeartbeat: The write of the record; rounded to milliseconds.
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

  /// The session of the node that wrote the record.
  public var session: NodeSession { NodeSession(nodeID: id, incarnation: incarnation) }

  /// The node's role in the election.
  public var role: MemberRole { report.role }

  /// The term that the node leads, or the highest one that it knows.
  public var term: Int64 { report.term }
}

extension Date {
  /// The instant in whole milliseconds, so that encoding and decoding preserve a record.
  var wholeMilliseconds: Date {
    Date(timeIntervalSince1970: (timeIntervalSince1970 * 1_000).rounded() / 1_000)
  }
}
