import ParallaxHA

/// Decides whether a node may take part in the election whose record it finds, and makes the record its cluster's own where it may.
///
/// A node alone is a cluster of one without a name. The cluster that it becomes part of takes its record over, and a node alone takes over
/// the record of a cluster whose nodes are gone. One cluster never takes over the record of another. `StoreGuard` has found out before that
/// no other node is alive; a lease that was not released is waited out all the same, since its holder may only be paused.
struct RecordAdoption: Sendable {
  /// The name of a cluster of one; no configured name has parentheses.
  static let aloneClusterID = "(none)"

  /// What to do next.
  enum Decision: Sendable, Hashable {
    /// The record is absent or the cluster's own.
    case takePart
    /// The record belongs to another cluster.
    case refuse(cluster: String)
    /// A lease may still stand; read again after this long.
    case wait(Duration)
    /// Write this record, released and with the term kept, and read again.
    case write(ElectionRecord)
  }

  private struct Lease: Hashable {
    var incarnation: String
    var renewal: Int64
  }

  let session: NodeSession
  let clusterID: String
  private var lease: (seen: Lease, since: Duration)?

  /// Makes the decision of a node that has seen no record yet.
  ///
  /// - Parameters:
  ///   - session: The node.
  ///   - clusterID: Its cluster; ``aloneClusterID`` for a node that runs alone.
  init(session: NodeSession, clusterID: String) {
    self.session = session
    self.clusterID = clusterID
  }

  private var isAlone: Bool { clusterID == Self.aloneClusterID }

  /// Takes in what a read showed.
  ///
  /// - Parameters:
  ///   - record: The record, or nil if there is none.
  ///   - now: The time on the node's own clock.
  /// - Returns: What to do next.
  mutating func read(_ record: ElectionRecord?, now: Duration) -> Decision {
    guard let record, record.clusterID != clusterID else { return .takePart }
    guard isAlone || record.clusterID == Self.aloneClusterID else { return .refuse(cluster: record.clusterID) }
    guard record.leader == nil else { return waitOut(record, now: now) }
    return .write(adopted(record))
  }

  private mutating func waitOut(_ record: ElectionRecord, now: Duration) -> Decision {
    let found = Lease(incarnation: record.incarnation, renewal: record.renewalCount)
    let since = lease.flatMap { $0.seen == found ? $0.since : nil } ?? now
    lease = (found, since)
    let left = since + record.leaseDuration - now
    return left > .zero ? .wait(left) : .write(adopted(record))
  }

  private func adopted(_ record: ElectionRecord) -> ElectionRecord {
    ElectionRecord(
      clusterID: clusterID, leader: nil, incarnation: session.incarnation, term: record.term, renewalCount: record.renewalCount + 1,
      sequence: record.sequence + 1, transitionCount: record.transitionCount, leaseDuration: record.leaseDuration)
  }
}

extension RecordAdoption {
  /// Reads the record until the node may take part.
  ///
  /// - Parameters:
  ///   - store: Where the record is.
  ///   - clock: The node's clock.
  /// - Throws: `MembershipError` with `storeInUse` if the record is another cluster's; what the store throws.
  mutating func run(on store: AnyElectionStore, clock: NodeClock) async throws {
    while true {
      let snapshot = try await store.read()
      switch read(snapshot?.record, now: clock.now.instant) {
      case .takePart: return
      case .refuse(let other): throw refusal(other)
      case .wait(let time): try await clock.sleep(for: time)
      case .write(let record): _ = try await store.compareAndSet(record, expecting: snapshot?.version)
      }
    }
  }

  private func refusal(_ other: String) -> MembershipError {
    MembershipError(
      .storeInUse,
      "node \"\(session.nodeID)\" cannot start: it is of cluster \"\(clusterID)\", and the election record in its store belongs to cluster "
        + "\"\(other)\". If both are one cluster give them the same highAvailability.clusterId, else another redis.keyPrefix each")
  }
}
