/// Decides whether a node, or its cluster, is the only user of the store.
///
/// The watch is a value without clock: `now` is the time on the node's own clock. Another node is alive if its field changes during the
/// watch, and counts as dead after a silence of 1.2 of its own intervals, or with a mark of its end. Former sessions of the node and
/// members of its cluster do not count.
package struct StoreWatch: Sendable {
  /// The state of the watch after a read.
  package enum Decision: Sendable, Hashable {
    /// No other node is alive; the sessions are those of silent nodes.
    case clear(silent: [NodeSession])
    /// Undecided; the next read is due after this duration.
    case undecided(next: Duration)
    /// Another node is alive.
    case conflict(with: MemberRecord)
    /// Another node's field cannot be read, so that node may be alive.
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

  /// Creates a watch before the first read.
  ///
  /// - Parameters:
  ///   - nodeID: The id of the starting node.
  ///   - clusterID: The node's cluster; nil, the default, if the node runs alone.
  package init(nodeID: String, clusterID: String? = nil) {
    self.nodeID = nodeID
    self.clusterID = clusterID
  }

  /// Handles a read.
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
      // A field that appears or changes during the watch has just been written.
      guard var other = former[record.id], other.record.session == record.session, other.record.sequence == record.sequence else {
        return .conflict(with: record)
      }
      // In a longer gap, by a pause or an outage, the other node may have been unable to write.
      if sinceLastRead > Self.window(of: record) / 3 { other.since = now }
      current[record.id] = other
    }
    others = current
    return decide(records, now: now)
  }

  private func decide(_ records: [MemberRecord], now: Duration) -> Decision {
    let open = records.filter { record in
      record.end == nil && others?[record.id].map { now - $0.since < Self.window(of: record) } ?? true
    }
    guard let quickest = open.map(\.checkInterval).min() else { return .clear(silent: records.map(\.session)) }
    return .undecided(next: min(quickest / 10, .milliseconds(500)))
  }

  private static func window(of record: MemberRecord) -> Duration { record.checkInterval * 12 / 10 }
}

/// Prevents a node from sharing its store by mistake: a lone node with any other node, a member of a cluster with a node outside the
/// cluster.
package struct StoreGuard<Store: MembershipStore, C: Clock>: Sendable where C.Duration == Duration {
  private let store: Store
  private let nodeID: String
  private let clusterID: String?
  private let keyPrefix: String
  private let clock: C

  /// Creates a guard.
  ///
  /// - Parameters:
  ///   - store: The store of the nodes' fields.
  ///   - nodeID: The id of the starting node.
  ///   - clusterID: The node's cluster; nil, the default, if the node runs alone.
  ///   - keyPrefix: The prefix of the store's keys, for error messages.
  ///   - clock: The node's clock, which must continue while the computer sleeps.
  package init(store: Store, nodeID: String, clusterID: String? = nil, keyPrefix: String, clock: C) {
    self.store = store
    self.nodeID = nodeID
    self.clusterID = clusterID
    self.keyPrefix = keyPrefix
    self.clock = clock
  }

  /// Watches the store until it is known whether another node is alive: at once without other fields, else for at most 1.2 intervals of the
  /// other node.
  ///
  /// The node's own membership must already run, so that two nodes that start at the same time see each other.
  ///
  /// - Returns: The sessions of the other nodes, all silent, whose work must be recovered.
  /// - Throws: ``MembershipError`` with `storeInUse` if another node is or may be alive; the store's error, after which the check must be
  ///   repeated from its start.
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
          "node \"\(nodeID)\" cannot start: the field of node \"\(other)\" under \"\(keyPrefix)\" cannot be read (\(reason)). Update "
            + "\"\(nodeID)\" to the version of \"\(other)\" or give it another redis.keyPrefix; if \"\(other)\" is gone, remove its field from "
            + "\(keyPrefix)ha:members")
      }
    }
  }

  private func reason(for other: MemberRecord) -> String {
    switch (clusterID, other.clusterID) {
    case (let own?, let found?):
      "it is of cluster \"\(own)\", and node \"\(other.id)\" of cluster \"\(found)\" at \(other.address) is using the keys under "
        + "\"\(keyPrefix)\". To run both as one cluster set the same highAvailability.clusterId on both; to run them apart give each a redis.keyPrefix of its own"
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
