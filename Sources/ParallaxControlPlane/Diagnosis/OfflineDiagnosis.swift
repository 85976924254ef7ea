import Logging
package import ParallaxAPI
import ParallaxConcurrency
import ParallaxHA
import ParallaxRedisStores

/// Examines the Redis of a configuration without a node, as before the first start.
package enum OfflineDiagnosis {
  /// What only a running node can tell.
  fileprivate static let needsNode = "only a running node knows; ask it without --offline"
  private static let withoutRedis = "no Redis is configured (redis.url): the state would be in the memory of the process"

  /// Examines the Redis of a configuration; changes nothing there.
  ///
  /// - Parameters:
  ///   - configuration: The configuration of the node that is to start.
  ///   - clock: The clock of the limits and of the measured times.
  /// - Returns: The findings.
  /// - Throws: ``ConfigurationError`` if a file of the configuration is unusable, or `RedisError` if a value is out of the client's bounds.
  package static func document(
    of configuration: NodeConfiguration, clock: any Clock<Duration>
  ) async throws -> DiagnosisDocument {
    let clock = MonotonicClock(clock)
    let begin = clock.now
    let silent = Logger(label: "parallax.diagnosis") { _ in SwiftLogNoOpLogHandler() }
    let survey = try configuration.makeBackend(logger: silent).redisSurvey
    let redis: Fact<RedisFacts> = if let survey { .known(await survey.facts()) } else { .unknown(withoutRedis) }
    let cluster = ClusterFacts(configuration, redis: redis)
    return DiagnosisDocument(
      nodeId: cluster.nodeID, incarnation: nil, clusterId: cluster.clusterID, version: ParallaxNode.version, at: NodeClock.wall,
      duration: begin.duration(to: clock.now),
      checks: Diagnosis.findings(cluster, redis, requiredReplicas: configuration.redis.requireReplicas))
  }
}

extension ClusterFacts {
  /// The facts that the store tells about a cluster to a node before its start.
  ///
  /// - Parameters:
  ///   - configuration: The configuration of the node.
  ///   - redis: The facts of the store.
  init(_ configuration: NodeConfiguration, redis: Fact<RedisFacts>) {
    let facts = redis.value
    // The members' clocks are compared with that of the store, by which this machine's may be wrong.
    let offset = facts?.servers.lazy.compactMap { $0.clock.value?.offset }.first ?? .zero
    let now = NodeClock.wall + offset
    let unknown = redis.map { _ in () }.reason ?? "it is not known"
    self.init(
      nodeID: configuration.node.id, incarnation: nil, clusterID: configuration.isAlone ? nil : configuration.highAvailability.clusterID,
      isShared: facts != nil, campaigns: configuration.isAlone || configuration.highAvailability.leaderElection.enabled,
      keyPrefix: configuration.redis.keyPrefix, leaseDuration: configuration.highAvailability.leaderElection.leaseDuration,
      twin: nil, members: facts?.members.map { snapshot in snapshot.records.map { Member($0, now: now) } } ?? .unknown(unknown),
      unreadable: facts?.members.value?.unreadable ?? [:],
      election: facts?.election.map { Election($0) } ?? .unknown(unknown),
      sync: .unknown(OfflineDiagnosis.needsNode), backlog: .unknown(OfflineDiagnosis.needsNode))
  }
}

extension ClusterFacts.Election {
  /// The state of a record that was read once: whether its lease is valid, only a node that has watched it knows.
  init(_ stored: ElectionRecord?) {
    guard let stored else {
      self.init(record: .absent)
      return
    }
    self.init(
      record: stored.leader.map { .held(by: $0) } ?? (stored.isBootstrap ? .bootstrap : .released), clusterID: stored.clusterID,
      term: stored.term, isPaused: stored.isPaused, leaseDuration: stored.leaseDuration)
  }
}

extension ClusterFacts.Member {
  /// A member by its field alone: alive if it was written within the time after which nodes take it for lost by default, and nobody has
  /// proved its end.
  ///
  /// - Parameters:
  ///   - record: The field.
  ///   - now: The time of the store.
  init(_ record: MemberRecord, now: Timestamp) {
    let age = now - Timestamp(record.lastHeartbeat)
    let window = record.checkInterval * NodeConfiguration.MemberHealth().unhealthyThreshold
    self.init(
      id: record.id, incarnation: record.incarnation, clusterID: record.clusterID, address: record.address,
      isAlive: record.end == nil && age < window, isHealthy: record.report.health != .unhealthy, claimsToLead: record.role == .leader,
      isBelieved: false, term: record.term,
      // The age of the field is unknown: only a field from the future shows a difference.
      clock: (.zero - age)...max(.zero - age, .zero))
  }
}
