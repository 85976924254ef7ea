import ParallaxAPI
import ParallaxRedis
import ParallaxRedisStores

/// Judges what a survey found out about Redis: facts in, a verdict per check out.
struct RedisVerdicts: Sendable {
  /// The median round trip from which Redis counts as slow, and as too slow: an execution waits for three round trips, and a renewal of
  /// leadership must not wait for long.
  static let slow: Duration = .milliseconds(20)
  static let tooSlow: Duration = .milliseconds(500)
  /// The share of its limit at which memory counts as nearly full; docs/redis.md reserves this much for running executions.
  static let nearlyFull = 0.9
  /// How far a replica may be behind its master.
  static let longestLag = 5
  static let largestLag = 16 << 20

  let facts: RedisFacts
  /// `redis.requireReplicas` of the configuration.
  let requiredReplicas: Int

  func verdict(of check: DiagnosisCheck) -> Verdict? {
    switch check {
    case .redisReachable: reachable
    case .redisSlots: slots
    case .redisPubSub: pubSub
    case .redisLatency: each { latency(of: $0) }
    case .redisRole: each { role(of: $0) }
    case .redisVersion: each { version(of: $0) }
    case .redisRights: each { rights(of: $0) }
    case .redisPersistence: each { persistence(of: $0) }
    case .redisDisk: each { disk(of: $0) }
    case .redisMemory: each { memory(of: $0) }
    case .redisEvictionPolicy: each { evictionPolicy(of: $0) }
    case .redisMinReplicas: each { minReplicas(of: $0) }
    case .redisReplicaLag: each { replicaLag(of: $0) }
    case .clockStore: each { clock(of: $0) }
    case .clockNodes, .storeShared, .nodeTwin, .haLeader, .haClaims, .haLease, .syncLag, .recoveryBacklog, .nodeAnswers: nil
    }
  }

  /// The worst verdict of the servers that answered.
  private func each(_ judge: (RedisServerFacts) -> Verdict) -> Verdict {
    let verdicts = facts.servers.filter { $0.failure == nil }.map { ($0.server, judge($0)) }
    guard let (server, worst) = verdicts.max(by: { $0.1.status < $1.1.status }) else { return .skip("Redis does not answer") }
    guard verdicts.count > 1 else { return worst }
    let alike = verdicts.count { $0.1.status == worst.status }
    var verdict = worst
    verdict.summary =
      worst.status == .ok
      ? "\(worst.summary) (\(server); \(alike) servers)" : "\(server): \(worst.summary)\(alike > 1 ? " (\(alike) servers alike)" : "")"
    return verdict
  }

  // MARK: The deployment

  private var reachable: Verdict {
    if let failure = facts.failure { return Self.unreachable(facts.address, failure, cli: "redis-cli") }
    let failed = facts.servers.filter { $0.failure != nil }
    if let first = failed.first, let failure = first.failure {
      let verdict = Self.unreachable(first.server, failure, cli: first.cli)
      guard failed.count > 1 else { return verdict }
      return .fail(
        "\(failed.count) of \(facts.servers.count) servers do not answer; \(verdict.summary)", cause: verdict.cause,
        remedy: verdict.remedy ?? "")
    }
    if facts.servers.isEmpty { return .skip(RedisFacts.notAsked) }
    if let starting = facts.servers.first(where: { $0.info.value?["loading"] == "1" }) {
      return .warn(
        "\(starting.server) loads its data from disk", cause: "it refuses commands until it has read all",
        remedy: "wait; to see how far it is: \(starting.cli) INFO persistence")
    }
    return .ok("\(facts.servers.map(\.server).joined(separator: ", ")) answers as user \(facts.user)")
  }

  private static func unreachable(_ server: String, _ error: RedisError, cli: String) -> Verdict {
    let words = error.serverMessage.map { "\(error.message) Server: \($0)" } ?? error.message
    switch error.code {
    case .authenticationFailed:
      return .fail(
        "\(server) refuses the login", cause: words,
        remedy: "set redis.username and redis.password (PARALLAX_REDIS_PASSWORD) as ACL GETUSER shows them, and try: \(cli) --askpass PING")
    case .invalidConfiguration:
      return .fail(
        "\(server) cannot be used as configured", cause: words, remedy: "correct the section redis, then: parallaxd --check-config")
    default: return .fail("\(server) does not answer", cause: words, remedy: "start Redis or correct redis.url, and try: \(cli) PING")
    }
  }

  private var slots: Verdict {
    guard facts.deployment == .cluster else { return .skip("the deployment is no Redis Cluster") }
    switch facts.slots {
    case .unknown(let reason): return .skip(reason)
    case .known(let report):
      let count = RedisClusterReport.slotCount
      let cli = facts.servers.first?.cli ?? "redis-cli"
      let missing = count - report.coveredSlots
      if missing > 0 {
        return .fail(
          "\(missing) of \(count) slots have no master", cause: "the keys of these slots can be neither read nor written",
          remedy:
            "restart the failed masters, or assign the slots: \(cli.replacing(" -h ", with: " --cluster fix ").replacing(" -p ", with: ":"))"
        )
      }
      if report.failedSlots > 0 || report.state != "ok" {
        return .fail(
          "the cluster's state is \(report.state), and the masters of \(report.failedSlots) slots have failed",
          cause: "no replica has taken over yet, or there is none", remedy: "restart the failed masters; see: \(cli) CLUSTER NODES")
      }
      return .ok("all \(count) slots have one of \(report.masters.count) masters")
    }
  }

  private var pubSub: Verdict {
    if facts.failure != nil || facts.servers.contains(where: { $0.failure != nil }) && facts.roundTrip.value == nil {
      return .skip("Redis does not answer")
    }
    let cli = facts.servers.first?.cli ?? "redis-cli"
    switch facts.roundTrip {
    case .unknown(RedisFacts.notAsked): return .skip(RedisFacts.notAsked)
    case .unknown(let reason):
      return .fail(
        "a published message does not arrive: \(reason)",
        cause: "nodes learn of each other's agents and of changes of leadership by messages; without them they only poll",
        remedy: "\(cli) ACL SETUSER \(facts.user) \"&\(facts.keyPrefix)*\" +publish +subscribe +unsubscribe")
    case .known(let time) where time >= Self.tooSlow:
      return .warn(
        "a published message takes \(time.readable)", cause: "events of other nodes arrive as late",
        remedy: "see redis.latency; look for slow subscribers: \(cli) CLIENT LIST TYPE pubsub")
    case .known(let time): return .ok("a published message arrives after \(time.readable)")
    }
  }
}
