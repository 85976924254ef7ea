import ParallaxAPI
import ParallaxHA
import ParallaxRedisStores

/// Judges the state of the cluster: facts in, a verdict per check out.
struct ClusterVerdicts: Sendable {
  /// The difference of two clocks that counts as none.
  static let clockTolerance: Duration = .seconds(1)
  /// The lag of events from which to warn, and from which the specification calls it lag.
  static let slowSync: Duration = .milliseconds(250)
  static let lag: Duration = .seconds(1)

  let facts: ClusterFacts
  /// The store's facts, for the causes of others; nil without Redis.
  let redis: RedisFacts?

  func verdict(of check: DiagnosisCheck) -> Verdict? {
    switch check {
    case .clockNodes: clockNodes
    case .storeShared: storeShared
    case .nodeTwin: nodeTwin
    case .haLeader: haLeader
    case .haClaims: haClaims
    case .haLease: haLease
    case .syncLag: syncLag
    case .recoveryBacklog: recoveryBacklog
    case .redisReachable, .redisLatency, .redisRole, .redisVersion, .redisRights, .redisPersistence, .redisDisk, .redisMemory,
      .redisEvictionPolicy, .redisMinReplicas, .redisReplicaLag, .redisSlots, .redisPubSub, .clockStore, .nodeAnswers:
      nil
    }
  }

  private var cli: String { redis?.servers.first?.cli ?? "redis-cli" }

  private var others: Fact<[ClusterFacts.Member]> {
    facts.members.map { members in members.filter { $0.id != facts.nodeID || $0.incarnation != facts.incarnation } }
  }

  // MARK: Clocks

  private var clockNodes: Verdict {
    others.judged { members in
      let known = members.filter(\.isAlive).compactMap { member in member.clock.map { (member, $0) } }
      let late = known.compactMap { member, range -> (id: String, distance: Duration, isAhead: Bool)? in
        if range.lowerBound >= Self.clockTolerance { return (member.id, range.lowerBound, true) }
        if range.upperBound <= .zero - Self.clockTolerance { return (member.id, .zero - range.upperBound, false) }
        return nil
      }
      guard let worst = late.max(by: { $0.distance < $1.distance }) else {
        return known.isEmpty ? .skip("no other node is alive") : .ok("the clocks of \(known.count) other nodes agree with this one")
      }
      let more = late.count > 1 ? " (\(late.count) nodes differ: this node's own clock may be the wrong one)" : ""
      return .warn(
        "the clock of \(worst.id) is at least \(worst.distance.readable) \(worst.isAhead ? "ahead of" : "behind") this one\(more)",
        cause: "elections and deadlines do not depend on it; times in logs differ, and tokens expire early or late",
        remedy: "synchronize the clock of that machine: timedatectl set-ntp true; chronyc tracking")
    }
  }

  // MARK: The store and its users

  private var storeShared: Verdict {
    guard facts.isShared else { return .skip("the state is in the memory of this process") }
    if let (id, reason) = facts.unreadable.min(by: { $0.key < $1.key }) {
      return .fail(
        "the field of \(id) among the members cannot be read: \(reason)", cause: "another program uses the prefix \(facts.keyPrefix)",
        remedy: "if no node has this id: \(cli) HDEL \(facts.keyPrefix)ha:members \"\(id)\"")
    }
    return others.judged { members in
      let strangers = members.filter { $0.isAlive && ($0.clusterID != facts.clusterID || facts.clusterID == nil) && $0.id != facts.nodeID }
      if let stranger = strangers.first {
        return .fail(
          "\(stranger.id) at \(stranger.address) \(stranger.clusterID.map { "of cluster \"\($0)\"" } ?? "runs alone and") uses the same keys as \(name)",
          cause: facts.clusterID == nil || stranger.clusterID == nil
            ? "a node without highAvailability.enabled needs the keys for itself"
            : "each cluster needs a key prefix of its own",
          remedy: "set redis.keyPrefix to another value on one of them, or the same highAvailability.clusterId on both")
      }
      if case .known(let election) = facts.election, let other = election.clusterID, let own = facts.clusterID, other != own,
        other != RecordAdoption.aloneClusterID
      {
        return .fail(
          "the record of the leader belongs to cluster \"\(other)\", and this node to \"\(own)\"",
          cause: "a node refuses to start in the record of another cluster",
          remedy: "set another redis.keyPrefix for each cluster; if that cluster is gone: \(cli) DEL \(facts.keyPrefix)ha:leader")
      }
      return .ok("only \(name) uses the prefix \(facts.keyPrefix)")
    }
  }

  private var name: String { facts.clusterID.map { "cluster \"\($0)\"" } ?? "this node" }

  private var nodeTwin: Verdict {
    if let twin = facts.twin {
      return .fail(
        "another process runs as \(facts.nodeID) at \(twin.address), and this one is stopping",
        cause: "two processes have the same node id", remedy: "give each node an id of its own: node.id or PARALLAX_NODE_ID")
    }
    return facts.members.judged { members in
      guard let own = members.first(where: { $0.id == facts.nodeID }), own.isAlive, own.incarnation != facts.incarnation else {
        return .ok("no other process has the id \(facts.nodeID)")
      }
      if facts.isRunning {
        return .fail(
          "another process runs as \(facts.nodeID) at \(own.address)", cause: "two processes have the same node id",
          remedy: "give each node an id of its own: node.id or PARALLAX_NODE_ID")
      }
      return .warn(
        "a node runs as \(facts.nodeID) already, at \(own.address)", cause: "a second process with this id stops the first one",
        remedy: "if that is another machine, set node.id or PARALLAX_NODE_ID; if it is this node, leave out --offline")
    }
  }

  // MARK: Leadership

  private var haLeader: Verdict {
    facts.election.judged { election in
      if case .held(let leader) = election.record, election.leaseRemaining != .zero {
        let member = facts.members.value?.first { $0.id == leader }
        guard facts.isShared, facts.members.value != nil, member?.isAlive != true, leader != facts.nodeID || !facts.isRunning else {
          return .ok("\(leader) leads (term \(election.term))")
        }
        guard facts.isRunning else {
          return .ok("the record names \(leader), which does not run; the next node leads once its lease has passed")
        }
        return .warn(
          "\(leader) holds the lease (term \(election.term)) and is silent",
          cause: "it has failed or is cut off; another node leads when its lease has passed",
          remedy: "see whether it runs and reaches Redis; to have others go first: parallax ha elect --force")
      }
      return noLeader(election)
    }
  }

  /// Why nobody leads.
  private func noLeader(_ election: ClusterFacts.Election) -> Verdict {
    if election.isPaused {
      return .fail("nobody leads, and elections are paused", cause: "somebody has called: parallax ha pause", remedy: "parallax ha resume")
    }
    guard facts.isRunning else { return .ok("no node runs; the first one leads after a lease") }
    let alive = facts.members.value?.filter { $0.isAlive && $0.isHealthy } ?? []
    let (cause, remedy): (String, String)
    if let problem = election.problem {
      (cause, remedy) = (problem, "mend what the other checks show; then nodes elect by themselves")
    } else if facts.members.value != nil, alive.isEmpty {
      (cause, remedy) = (
        "no node is healthy, so that none campaigns", "see why: curl -s http://NODE/health, for each node; restart those that hang"
      )
    } else if !facts.campaigns, alive.count == 1 {
      (cause, remedy) = (
        "highAvailability.leaderElection.enabled is false on the only healthy node", "set it to true on at least one node"
      )
    } else {
      switch election.record {
      case .absent:
        (cause, remedy) = (
          "there is no record of an election yet", "wait for a lease (\(facts.leaseDuration.readable)); then see the log of a node"
        )
      case .bootstrap:
        (cause, remedy) = (
          "the record was missing, and candidates wait a whole lease (\(facts.leaseDuration.readable)): a leader may live without it",
          "wait; if it lasts, see whether something removes \(facts.keyPrefix)ha:leader: \(cli) GET \(facts.keyPrefix)ha:leader"
        )
      case .released: (cause, remedy) = ("the last leader has given up the lease, and nobody has taken it", "parallax ha elect")
      case .held(let leader): (cause, remedy) = ("the lease of \(leader) has ended, and nobody has taken it", "parallax ha elect")
      }
    }
    return .fail("nobody leads (term \(election.term))", cause: cause, remedy: remedy)
  }

  private var haClaims: Verdict {
    facts.members.judged { members in
      let claims = members.filter { $0.isAlive && $0.claimsToLead }
      let newest = claims.map(\.term).max() ?? 0
      var valid = claims.filter { $0.isBelieved || $0.term == newest }
      // Right after a handover a member's field is out of date; a claim of the record's own term or a later one is not.
      if case .known(let election) = facts.election, case .held(let holder) = election.record, election.leaseRemaining != .zero {
        let strangers = valid.filter { $0.id != holder && ($0.term >= election.term || valid.count > 1) }
        valid = valid.filter { $0.id == holder } + strangers
        if valid.count == 1, let stranger = strangers.first {
          return overlap(["\(holder) (term \(election.term), by the record)", "\(stranger.id) (term \(stranger.term))"])
        }
      }
      guard valid.count > 1 else { return .ok("no claims to lead overlap") }
      return overlap(valid.map { "\($0.id) (term \($0.term))" })
    }
  }

  private func overlap(_ claims: [String]) -> Verdict {
    .fail(
      "\(claims.count) nodes claim to lead at once: \(claims.sorted().joined(separator: ", "))",
      cause: "clocks run at different rates, Redis lost a grant in a failover, or somebody has written to the store by hand",
      remedy: "compare with the record: \(cli) GET \(facts.keyPrefix)ha:leader; then: parallax ha elect --force")
  }

  private var haLease: Verdict {
    facts.election.judged { election in
      guard facts.clusterID != nil else { return .skip("the node runs alone") }
      guard let lease = election.leaseDuration, case .held(let leader) = election.record else { return .skip("nobody leads") }
      guard lease.wholeMilliseconds != facts.leaseDuration.wholeMilliseconds else {
        return .ok("the leader's lease is this node's: \(lease.readable)")
      }
      return .warn(
        "\(leader) runs a lease of \(lease.readable), and this node one of \(facts.leaseDuration.readable)",
        cause: "during a rolling change that is safe as long as Redis keeps its data",
        remedy: "set the same highAvailability.leaderElection.leaseDuration on all nodes")
    }
  }

  // MARK: Work

  private var syncLag: Verdict {
    facts.sync.judged { sync in
      guard let delay = [sync.last, sync.overdue].compactMap({ $0 }).max() else { return .skip("the node has sent no event yet") }
      let summary = "events take \(delay.readable) through the store"
      guard delay >= Self.slowSync else { return .ok(summary) }
      let (cause, remedy) = syncCause(sync)
      return delay >= Self.lag ? .fail(summary, cause: cause, remedy: remedy) : .warn(summary, cause: cause, remedy: remedy)
    }
  }

  private func syncCause(_ sync: ClusterFacts.Sync) -> (String, String) {
    let servers = redis?.servers ?? []
    if servers.contains(where: { $0.failure != nil }) || redis?.failure != nil {
      return ("Redis does not answer", "see redis.reachable")
    }
    if let redis, case .unknown(let reason) = redis.roundTrip {
      return ("published messages do not arrive: \(reason)", "see redis.pubsub")
    }
    if let median = servers.compactMap({ $0.latency.value?.median }).max(), median >= RedisVerdicts.slow {
      return (
        "Redis is slow: a round trip takes \(median.readable)",
        "see redis.latency; give Redis a core of its own, or divide it: redis.cluster"
      )
    }
    if sync.waiting > 0 {
      return (
        "\(sync.waiting) events of this node wait to be published",
        "raise highAvailability.stateSync.batchSize, or spread the load over more nodes"
      )
    }
    return (
      "Redis answers at once, so that the delay is in this node",
      "see its load: curl -s http://NODE/metrics; spread the load over more nodes"
    )
  }

  private var recoveryBacklog: Verdict {
    facts.backlog.judged { backlog in
      guard backlog.sessions > 0 else { return .ok("no work of lost nodes waits for recovery") }
      let summary = "\(backlog.executions) executions of \(backlog.sessions) lost nodes wait for recovery"
      guard case .known(let election) = facts.election, case .held = election.record, election.leaseRemaining != .zero else {
        return .fail(summary, cause: "nobody leads, and the leader recovers lost work", remedy: "see ha.leader")
      }
      if backlog.executions == 0 {
        return .ok("\(backlog.sessions) lost nodes have no executions left; they are removed once their agents had time to return")
      }
      return .warn(
        summary, cause: "the leader claims them in rounds of 5 s; it has just begun, or it cannot read them",
        remedy: "ask again in a minute; then see the leader's log for \"recovered\" and \"cannot recover\"")
    }
  }
}
