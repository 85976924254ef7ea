import ParallaxAPI
import ParallaxConcurrency
import ParallaxHA
import ParallaxRedisStores
import ParallaxState

/// Gathers the facts of a running node and has them judged.
///
/// Callers of the same time share one diagnosis, so that nobody can load Redis by asking often.
struct NodeDiagnosis: Sendable {
  /// The longest wait for the facts that come through the node's own store.
  private static let storeLimit: Duration = .seconds(3)
  /// The time after which the fields of members have followed a handover.
  private static let handover: Duration = .milliseconds(500)

  /// The parts of the node that are asked.
  struct Parts: Sendable {
    let session: NodeSession
    let configuration: NodeConfiguration
    let backend: any Backend
    let members: NodeMembers
    let election: NodeElection
    let latency: SyncLatency
    let publisher: EventPublisher
    let clock: NodeClock
  }

  private let parts: Parts
  private let shared = SharedRun<DiagnosisDocument>()

  init(_ parts: Parts) {
    self.parts = parts
  }

  /// The diagnosis of this moment.
  func document() async throws -> DiagnosisDocument { try await shared.value { await diagnose() } }

  private func diagnose() async -> DiagnosisDocument {
    let begin = parts.clock.monotonic.now
    async let surveyed = survey()
    async let known = settledFacts()
    let (redis, cluster) = await (surveyed, known)
    return DiagnosisDocument(
      nodeId: cluster.nodeID, incarnation: cluster.incarnation, clusterId: cluster.clusterID, version: ParallaxNode.version,
      at: NodeClock.wall, duration: begin.duration(to: parts.clock.monotonic.now),
      checks: Diagnosis.findings(cluster, redis, requiredReplicas: parts.configuration.redis.requireReplicas))
  }

  private func survey() async -> Fact<RedisFacts> {
    guard let survey = parts.backend.redisSurvey else { return .unknown(parts.backend.withoutSurvey) }
    return .known(await survey.facts())
  }

  /// The facts of the cluster; a second time if claims to lead overlap in the first ones, as for a moment in a handover.
  private func settledFacts() async -> ClusterFacts {
    let facts = await clusterFacts()
    guard ClusterVerdicts(facts: facts, redis: nil).verdict(of: .haClaims)?.status == .fail else { return facts }
    try? await parts.clock.sleep(for: Self.handover)
    return await clusterFacts()
  }

  private func clusterFacts() async -> ClusterFacts {
    let (configuration, clock) = (parts.configuration, parts.clock)
    let members = parts.members
    let view = try? await withTimeout(Self.storeLimit, clock: clock.monotonic) { await members.refreshedView() }
    let status = parts.election.status
    let seen = view ?? members.view
    let sync = parts.latency.state(at: clock.now.instant)
    return ClusterFacts(
      nodeID: parts.session.nodeID, incarnation: parts.session.incarnation,
      clusterID: configuration.isAlone ? nil : configuration.highAvailability.clusterID, isShared: parts.backend.traits.isShared,
      campaigns: configuration.isAlone || configuration.highAvailability.leaderElection.enabled, keyPrefix: parts.backend.namespace,
      leaseDuration: configuration.highAvailability.leaderElection.leaseDuration,
      twin: members.twin.map { ClusterFacts.Member(twin: $0) },
      members: seen.isStale
        ? .unknown("the members cannot be read from the store")
        : .known(
          seen.members.map {
            ClusterFacts.Member($0, seenAt: NodeClock.wall, every: configuration.highAvailability.memberHealth.checkInterval)
          }),
      unreadable: seen.unreadable, election: Self.election(status),
      sync: .known(ClusterFacts.Sync(last: sync.last, overdue: sync.overdue, waiting: parts.publisher.waitingCount)),
      backlog: await backlog(seen))
  }

  private static func election(_ status: ElectionStatus) -> Fact<ClusterFacts.Election> {
    if status.staleFor != nil {
      return .unknown("the record of the election cannot be read from the store\(status.problem.map { ": \($0)" } ?? "")")
    }
    let record: ClusterFacts.Election.Record =
      if let leader = status.leader {
        .held(by: leader)
      } else if status.term == 0 {
        .absent
      } else if status.leaseDuration == nil {
        .bootstrap
      } else {
        .released
      }
    return .known(
      ClusterFacts.Election(
        record: record, term: status.term, isPaused: status.isPaused, leaseRemaining: status.leaseRemaining,
        leaseDuration: status.leaseDuration, problem: status.problem))
  }

  private func backlog(_ view: MembershipView) async -> Fact<ClusterFacts.Backlog> {
    guard parts.backend.traits.isShared else { return .unknown("the state is in the memory of this process") }
    guard !view.isStale else { return .unknown("the members cannot be read from the store") }
    let (store, session, removeAfter) = (parts.backend.state, parts.session, parts.configuration.highAvailability.memberHealth.removeAfter)
    do {
      return try await withTimeout(Self.storeLimit, clock: parts.clock.monotonic) {
        let lost = RecoveryDuty.plan(try await store.sessions(), view, own: session, removeAfter: removeAfter).lost.keys
        var executions = 0
        for session in lost { executions += try await store.executions(ownedBy: session).count }
        return .known(ClusterFacts.Backlog(sessions: lost.count, executions: executions))
      }
    } catch {
      return .unknown("the sessions cannot be read from the store")
    }
  }
}

extension ClusterFacts.Member {
  /// A process that took this node's id.
  init(twin record: MemberRecord) {
    self.init(
      id: record.id, incarnation: record.incarnation, clusterID: record.clusterID, address: record.address, isAlive: record.end == nil,
      isHealthy: true, claimsToLead: false, isBelieved: false, term: record.term)
  }

  /// A member in a node's view.
  ///
  /// - Parameters:
  ///   - member: The member.
  ///   - now: This machine's wall clock.
  ///   - interval: The time between two reads of the members: a write may be older by as much than its observation.
  init(_ member: MembershipView.Member, seenAt now: Timestamp, every interval: Duration) {
    let record = member.record
    let offset = Timestamp(record.lastHeartbeat) - (now - member.lastSeen)
    self.init(
      id: record.id, incarnation: record.incarnation, clusterID: record.clusterID, address: record.address, isAlive: member.isAlive,
      isHealthy: member.status == .healthy, claimsToLead: record.role == .leader, isBelieved: member.isLeader, term: record.term,
      clock: offset...(offset + interval))
  }
}
