/// Whether a node has its store to itself and, if it takes part in a cluster, to its cluster.
///
/// A value without clock: `now` is the time on the node's own clock. Another node is alive when its field changes while it is watched; one
/// that stays silent for 1.2 of its own intervals is not. A former life of the node itself never counts, nor do the members of its cluster.
package struct StoreWatch: Sendable {
  /// What is known so far.
  package enum Decision: Sendable, Hashable {
    /// Nobody else is alive; the sessions are those of nodes that are silent.
    case clear(silent: [NodeSession])
    /// Not known yet: to be read again soon, after this long.
    case undecided(next: Duration)
    /// Another node is alive.
    case conflict(with: MemberRecord)
    /// Another node's field cannot be read, so nobody knows whether it is alive.
    case unreadable(nodeID: String, reason: String)
  }

  private struct Other {
    var record: MemberRecord
    var since: Duration
  }

  private let nodeID: String
  private let clusterID: String?
  private var others: [String: Other]?
  private var lastRead = Duration.zero

  /// Makes a watch that has seen nothing.
  ///
  /// - Parameters:
  ///   - nodeID: The id of the node that wants to start.
  ///   - clusterID: Its cluster; nil if it runs alone.
  package init(nodeID: String, clusterID: String? = nil) {
    self.nodeID = nodeID
    self.clusterID = clusterID
  }

  /// Takes in what a read showed.
  package mutating func read(_ snapshot: MembershipSnapshot, now: Duration) -> Decision {
    if let (id, reason) = snapshot.unreadable.filter({ $0.key != nodeID }).min(by: { $0.key < $1.key }) {
      return .unreadable(nodeID: id, reason: reason)
    }
    let sinceLastRead = now - lastRead
    lastRead = now
    let records = snapshot.records.filter { $0.id != nodeID && (clusterID == nil || $0.clusterID != clusterID) }.sorted { $0.id < $1.id }
    guard let former = others else {
      others = Dictionary(records.map { ($0.id, Other(record: $0, since: now)) }) { _, last in last }
      return decide(records, now: now)
    }
    var current: [String: Other] = [:]
    for record in records {
      // A node that appears meanwhile has just written.
      guard var other = former[record.id], other.record.session == record.session, other.record.sequence == record.sequence else {
        return .conflict(with: record)
      }
      // A longer gap was a pause or an outage, in which the other could not write either.
      if sinceLastRead > Self.window(of: record) / 3 { other.since = now }
      current[record.id] = other
    }
    others = current
    return decide(records, now: now)
  }

  private func decide(_ records: [MemberRecord], now: Duration) -> Decision {
    let open = records.filter { record in others?[record.id].map { now - $0.since < Self.window(of: record) } ?? true }
    guard let quickest = open.map(\.checkInterval).min() else { return .clear(silent: records.map(\.session)) }
    return .undecided(next: min(quickest / 10, .milliseconds(500)))
  }

  private static func window(of record: MemberRecord) -> Duration { record.checkInterval * 12 / 10 }
}

/// Keeps a node from sharing its store by mistake: one that runs alone with any other, one of a cluster with a node that is not of it.
package struct StoreGuard<Store: MembershipStore, C: Clock>: Sendable where C.Duration == Duration {
  private let store: Store
  private let nodeID: String
  private let clusterID: String?
  private let keyPrefix: String
  private let clock: C

  /// Makes a guard.
  ///
  /// - Parameters:
  ///   - store: Where nodes keep their fields.
  ///   - nodeID: The id of the node that wants to start.
  ///   - clusterID: Its cluster; nil if it runs alone.
  ///   - keyPrefix: What stands before the store's keys, for the message to people.
  ///   - clock: The node's clock; it has to go on while the machine sleeps.
  package init(store: Store, nodeID: String, clusterID: String? = nil, keyPrefix: String, clock: C) {
    self.store = store
    self.nodeID = nodeID
    self.clusterID = clusterID
    self.keyPrefix = keyPrefix
    self.clock = clock
  }

  /// Watches the store until it is clear whether another node is alive: at once when there is no field of another, at most 1.2 of its
  /// intervals else.
  ///
  /// Run it while the node's own membership runs already: of two nodes that start at the same time, both see each other.
  ///
  /// - Returns: The sessions of the other nodes, all silent, whose work is to be taken over.
  /// - Throws: ``MembershipError`` with `storeInUse` if another node is alive, or nobody can tell; what the store throws, and then the
  ///   check has to be made again from its start.
  package func check() async throws -> [NodeSession] {
    var watch = StoreWatch(nodeID: nodeID, clusterID: clusterID)
    let start = clock.now
    while true {
      let snapshot = try await store.members()
      switch watch.read(snapshot, now: start.duration(to: clock.now)) {
      case .clear(let silent): return silent
      case .undecided(let next): try await clock.sleep(for: next)
      case .conflict(let other): throw MembershipError(.storeInUse, "node \"\(nodeID)\" cannot start: \(reason(for: other))")
      case .unreadable(let other, let reason):
        throw MembershipError(
          .storeInUse,
          "node \"\(nodeID)\" cannot start: the field of node \"\(other)\" under \"\(keyPrefix)\" cannot be read (\(reason)). Update this "
            + "node to that one's version, or give it another keyPrefix; if that node is gone, remove its field from "
            + "\(keyPrefix)ha:members")
      }
    }
  }

  private func reason(for other: MemberRecord) -> String {
    switch (clusterID, other.clusterID) {
    case (let own?, let found?):
      "it is of cluster \"\(own)\", and node \"\(other.id)\" of cluster \"\(found)\" at \(other.address) is using the keys under "
        + "\"\(keyPrefix)\". If both are one cluster give them the same highAvailability.clusterId, else another redis.keyPrefix each"
    case (let own?, nil):
      "it is of cluster \"\(own)\", and node \"\(other.id)\" at \(other.address) is using the keys under \"\(keyPrefix)\" without high "
        + "availability. To run both as one cluster set highAvailability.enabled: true on both; to run them apart give this node another "
        + "redis.keyPrefix"
    case (nil, _):
      "node \"\(other.id)\" at \(other.address) is using the keys under \"\(keyPrefix)\" and high availability is off. To run both as one "
        + "cluster set highAvailability.enabled: true on both; to run them apart give this node another redis.keyPrefix"
    }
  }
}
