import ParallaxHA

/// Decides whether a node may take part in the election of the record that it finds, and moves the record to the node's cluster if it may.
///
/// A node that runs alone is a cluster of one without a name. A named cluster adopts the record of a node that ran alone, and a node alone
/// adopts the record of a cluster without living nodes; a named cluster never adopts the record of another. `StoreGuard` has checked before
/// that no other node is alive. An unreleased lease is waited out nevertheless, because its holder may only be paused.
struct RecordAdoption: Sendable {
  /// The name of a cluster of one; a configured name cannot have parentheses.
  static let aloneClusterID = "(none)"

  /// The next step.
  enum Decision: Sendable, Hashable {
    /// Take part: the record is absent or belongs to the node's cluster.
    case takePart
    /// Refuse to start: the record belongs to another cluster.
    case refuse(cluster: String)
    /// Read again after this time, because a lease may still be valid.
    case wait(Duration)
    /// Write this released record, which keeps the term, and read again.
    case write(ElectionRecord)
  }

  private struct Lease: Hashable {
    var incarnation: String
    var renewal: Int64
  }

  let session: NodeSession
  let clusterID: String
  private var lease: (seen: Lease, since: Duration)?

  /// Makes the adoption of a node before its first read.
  ///
  /// - Parameters:
  ///   - session: The node's session.
  ///   - clusterID: The node's cluster; ``aloneClusterID`` for a node that runs alone.
  init(session: NodeSession, clusterID: String) {
    self.session = session
    self.clusterID = clusterID
  }

  private var isAlone: Bool { clusterID == Self.aloneClusterID }

  /// Processes a read.
  ///
  /// - Parameters:
  ///   - record: The record; nil if there is none.
  ///   - now: The time on the node's monotonic clock.
  /// - Returns: The next step.
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
  ///   - store: The store of the record.
  ///   - clock: The node's clock.
  /// - Throws: `MembershipError` with `storeInUse` if the record belongs to another cluster, or the store's error.
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
      "node \"\(session.nodeID)\" cannot start: it belongs to cluster \"\(clusterID)\", and the election record in its store to cluster "
        + "\"\(other)\". Set the same highAvailability.clusterId on all nodes of one cluster, or another redis.keyPrefix for each cluster")
  }
}
