import ParallaxAPI
import ParallaxRedis
import ParallaxRedisStores
import Testing

@testable import ParallaxControlPlane

/// The judgments about Redis; each case changes one fact of a healthy server.
@Suite struct RedisVerdictTests {
  private static let healthyInfo = [
    "aof_enabled": "1", "aof_last_write_status": "ok", "aof_last_bgrewrite_status": "ok", "rdb_last_bgsave_status": "ok",
    "used_memory": "1000000", "used_memory_rss": "2000000", "maxmemory": "0", "total_system_memory": "8000000000",
    "maxmemory_policy": "noeviction", "role": "master", "master_repl_offset": "0",
  ]
  private static let healthySettings = [
    "save": "", "appendfsync": "everysec", "stop-writes-on-bgsave-error": "yes", "min-replicas-to-write": "0",
  ]

  /// The facts of a healthy deployment, changed.
  private static func facts(
    _ deployment: RedisFacts.Deployment = .single, info: [String: String] = [:], settings: [String: String] = [:],
    _ change: (inout RedisServerFacts) -> Void = { _ in }
  ) -> RedisFacts {
    var server = RedisServerFacts(server: "10.0.0.1:6379", cli: "redis-cli -h 10.0.0.1 -p 6379")
    server.latency = .known(.init(median: .microseconds(300), longest: .milliseconds(2)))
    server.identity = .known(.init(name: "redis", version: "7.0.15"))
    server.role = .known(.master)
    server.info = .known(healthyInfo.merging(info) { $1 })
    server.settings = .known(healthySettings.merging(settings) { $1 })
    server.rights = .known(.init())
    server.clock = .known(.init(offset: .milliseconds(3), uncertainty: .milliseconds(1)))
    change(&server)
    var facts = RedisFacts(deployment: deployment, address: "10.0.0.1:6379", user: "parallax", keyPrefix: "parallax:")
    facts.servers = [server]
    facts.roundTrip = .known(.milliseconds(1))
    return facts
  }

  private func verdict(_ check: DiagnosisCheck, _ facts: RedisFacts, requiredReplicas: Int = 0) throws -> Verdict {
    try #require(RedisVerdicts(facts: facts, requiredReplicas: requiredReplicas).verdict(of: check))
  }

  private static let ofRedis = DiagnosisCheck.allCases.filter { RedisVerdicts(facts: facts(), requiredReplicas: 0).verdict(of: $0) != nil }

  @Test func aHealthyServerPassesEveryCheckThatApplies() throws {
    for check in Self.ofRedis {
      let verdict = try verdict(check, Self.facts())
      let applies = ![.redisSlots, .redisReplicaLag].contains(check)
      #expect(verdict.status == (applies ? .ok : .skip), "\(check.rawValue): \(verdict)")
    }
  }

  @Test func aServerThatDoesNotAnswerIsOneFailureAndTheOtherChecksAreSkipped() throws {
    let facts = Self.facts { $0.failure = RedisError(.connectionFailed, message: "Connection refused.") }
    for check in Self.ofRedis where check != .redisReachable && check != .redisPubSub {
      #expect(try verdict(check, facts).status == .skip, "\(check.rawValue)")
    }
    let verdict = try verdict(.redisReachable, facts)
    #expect(verdict.status == .fail && verdict.cause == "Connection refused." && verdict.remedy?.contains("-p 6379 PING") == true)
  }

  @Test func aRefusedLoginNamesTheUsersSettings() throws {
    let facts = Self.facts {
      $0.failure = RedisError(.authenticationFailed, message: "Refused.", serverMessage: "WRONGPASS invalid username-password pair")
    }
    let verdict = try verdict(.redisReachable, facts)
    #expect(verdict.status == .fail && verdict.summary.contains("refuses the login"))
    #expect(verdict.cause?.contains("WRONGPASS") == true && verdict.remedy?.contains("PARALLAX_REDIS_PASSWORD") == true)
  }

  @Test func aServerThatLoadsItsDataIsAWarning() throws {
    #expect(try verdict(.redisReachable, Self.facts(info: ["loading": "1"])).status == .warn)
  }

  @Test func withoutSentinelsTheirErrorIsTheFailure() throws {
    var facts = Self.facts(.sentinel)
    facts.servers = []
    facts.failure = RedisError(.connectionFailed, message: "No sentinel answers.")
    #expect(try verdict(.redisReachable, facts).cause == "No sentinel answers.")
    #expect(try verdict(.redisLatency, facts).status == .skip)
  }

  @Test(arguments: [(5, DiagnosisStatus.ok), (20, .warn), (499, .warn), (500, .fail)])
  func latency(milliseconds: Int, status: DiagnosisStatus) throws {
    let median = Duration.milliseconds(milliseconds)
    let facts = Self.facts { $0.latency = .known(.init(median: median, longest: median)) }
    #expect(try verdict(.redisLatency, facts).status == status)
  }

  @Test(arguments: [
    (RedisServerFacts.Role.replica(of: "10.0.0.2:6379", link: "connected"), "REPLICAOF NO ONE"),
    (.other("sentinel"), "redis.sentinel.nodes"),
  ])
  func onlyAMasterTakesWrites(role: RedisServerFacts.Role, remedy: String) throws {
    let verdict = try verdict(.redisRole, Self.facts { $0.role = .known(role) })
    #expect(verdict.status == .fail && verdict.remedy?.contains(remedy) == true, "\(verdict)")
  }

  @Test(arguments: [
    ("redis", "6.2.14", DiagnosisStatus.fail), ("redis", "7.0.0", .ok), ("redis", "8.2.3", .ok), ("valkey", "9.1.2", .ok),
  ])
  func version(name: String, version: String, status: DiagnosisStatus) throws {
    let verdict = try verdict(.redisVersion, Self.facts { $0.identity = .known(.init(name: name, version: version)) })
    #expect(verdict.status == status && verdict.summary.contains(version))
    if status == .fail { #expect(verdict.cause?.contains("SET … NX GET") == true) }
  }

  @Test func deniedRightsAreGrantedByOneCommand() throws {
    let gaps = RedisServerRequirements.Gaps(
      forbidden: [
        "HSET on parallax:execution:%probe", "HSET on parallax:agent:%probe", "PUBLISH on the channel parallax:ha:leader", "TIME",
        "XGROUP on parallax:node:%probe:inbox",
      ],
      words: "NOPERM this user has no permissions")
    let verdict = try verdict(.redisRights, Self.facts { $0.rights = .known(gaps) })
    #expect(verdict.status == .fail && verdict.summary.contains("TIME"))
    #expect(
      verdict.remedy
        == #"redis-cli -h 10.0.0.1 -p 6379 ACL SETUSER parallax "~parallax:*" "~{parallax:*" "&parallax:*" +hset +publish +time +xgroup|create"#
    )
  }

  @Test func aProxyLacksCommands() throws {
    let gaps = RedisServerRequirements.Gaps(unknown: ["XADD", "XADD"], words: "ERR unknown command")
    let verdict = try verdict(.redisRights, Self.facts { $0.rights = .known(gaps) })
    #expect(verdict.status == .fail && verdict.summary == "it lacks XADD")
  }

  @Test(arguments: [
    ("1", "", "everysec", DiagnosisStatus.ok, "append-only"), ("1", "", "no", .warn, "appendfsync"),
    ("0", "3600 1", "everysec", .warn, "only snapshots"),
    ("0", "", "everysec", .warn, "nothing is kept"),
  ])
  func persistence(aof: String, save: String, fsync: String, status: DiagnosisStatus, words: String) throws {
    let verdict = try verdict(
      .redisPersistence, Self.facts(info: ["aof_enabled": aof], settings: ["save": save, "appendfsync": fsync]))
    #expect(verdict.status == status && verdict.summary.contains(words), "\(verdict)")
  }

  @Test(arguments: [
    (["aof_last_write_status": "err"], [:], DiagnosisStatus.fail), (["rdb_last_bgsave_status": "err"], [:], .fail),
    (["rdb_last_bgsave_status": "err"], ["stop-writes-on-bgsave-error": "no"], .warn), (["aof_last_bgrewrite_status": "err"], [:], .warn),
    (["aof_last_write_status": "err", "aof_enabled": "0"], [:], .ok),
  ])
  func disk(info: [String: String], settings: [String: String], status: DiagnosisStatus) throws {
    #expect(try verdict(.redisDisk, Self.facts(info: info, settings: settings)).status == status)
  }

  @Test(arguments: [(89, DiagnosisStatus.ok), (90, .warn), (99, .warn), (100, .fail), (180, .fail)])
  func memory(percent: Int, status: DiagnosisStatus) throws {
    let verdict = try verdict(.redisMemory, Self.facts(info: ["used_memory": "\(percent * 1_048_576)", "maxmemory": "104857600"]))
    #expect(verdict.status == status && verdict.summary.contains("\(percent) %"), "\(verdict)")
  }

  @Test func withoutALimitTheMemoryOfTheMachineCounts() throws {
    #expect(try verdict(.redisMemory, Self.facts(info: ["used_memory_rss": "7900000000"])).status == .warn)
  }

  @Test(arguments: [
    ("noeviction", "100", DiagnosisStatus.ok), ("allkeys-lru", "100", .fail), ("volatile-ttl", "100", .warn), ("allkeys-lru", "0", .warn),
  ])
  func evictionPolicy(policy: String, limit: String, status: DiagnosisStatus) throws {
    let verdict = try verdict(.redisEvictionPolicy, Self.facts(info: ["maxmemory_policy": policy, "maxmemory": limit]))
    #expect(verdict.status == status && verdict.summary.contains(policy))
  }

  private static let replica = "ip=10.0.0.2,port=6379,state=online,offset=900,lag=1"

  @Test(arguments: [
    (RedisFacts.Deployment.single, 0, nil as String?, 0, DiagnosisStatus.ok), (.single, 0, replica, 0, .warn),
    (.sentinel, 0, nil, 0, .warn),
    (.sentinel, 1, replica, 0, .ok), (.single, 1, nil, 0, .fail), (.single, 1, replica, 2, .fail), (.single, 1, replica, 1, .ok),
  ])
  func minReplicas(deployment: RedisFacts.Deployment, setting: Int, replica: String?, required: Int, status: DiagnosisStatus) throws {
    let info = replica.map { ["slave0": $0] } ?? [:]
    let facts = Self.facts(deployment, info: info, settings: ["min-replicas-to-write": "\(setting)"])
    let verdict = try verdict(.redisMinReplicas, facts, requiredReplicas: required)
    #expect(verdict.status == status, "\(verdict)")
  }

  @Test func replicasThatAreNotUpToDateDoNotCount() throws {
    let info = ["slave0": Self.replica, "min_slaves_good_slaves": "0"]
    let verdict = try verdict(.redisMinReplicas, Self.facts(info: info, settings: ["min-replicas-to-write": "1"]))
    #expect(verdict.status == .fail && verdict.cause?.contains("NOREPLICAS") == true)
  }

  @Test(arguments: [
    ("ip=10.0.0.2,port=6379,state=online,offset=1000,lag=1", DiagnosisStatus.ok),
    ("ip=10.0.0.2,port=6379,state=online,offset=1000,lag=6", .warn),
    ("ip=10.0.0.2,port=6379,state=wait_bgsave,offset=0,lag=0", .warn), ("ip=10.0.0.2,port=6379,state=online,offset=0,lag=0", .warn),
  ])
  func replicaLag(line: String, status: DiagnosisStatus) throws {
    let end = line.contains("offset=1000") ? "1000" : "20000000"
    let verdict = try verdict(.redisReplicaLag, Self.facts(info: ["slave0": line, "master_repl_offset": end]))
    #expect(verdict.status == status, "\(verdict)")
    if status == .warn { #expect(verdict.summary.contains("10.0.0.2:6379")) }
  }

  @Test(arguments: [
    (16_384, 0, "ok", DiagnosisStatus.ok), (16_000, 0, "fail", .fail), (16_384, 5_461, "fail", .fail), (16_384, 0, "fail", .fail),
  ])
  func slots(covered: Int, failed: Int, state: String, status: DiagnosisStatus) throws {
    var facts = Self.facts(.cluster)
    facts.slots = .known(
      RedisClusterReport(masters: [.host("10.0.0.1", port: 6_379)], coveredSlots: covered, failedSlots: failed, state: state))
    let verdict = try verdict(.redisSlots, facts)
    #expect(verdict.status == status)
    if covered < 16_384 { #expect(verdict.remedy?.contains("redis-cli --cluster fix 10.0.0.1:6379") == true, "\(verdict)") }
  }

  @Test func aMessageThatDoesNotArriveIsAFailure() throws {
    var facts = Self.facts()
    facts.roundTrip = .unknown("the user parallax may not use SUBSCRIBE")
    #expect(try verdict(.redisPubSub, facts).status == .fail)
    facts.roundTrip = .known(.milliseconds(600))
    #expect(try verdict(.redisPubSub, facts).status == .warn)
    facts.roundTrip = .unknown(RedisFacts.notAsked)
    #expect(try verdict(.redisPubSub, facts).status == .skip)
  }

  @Test(arguments: [(60_000, 1, DiagnosisStatus.warn, "ahead of"), (-60_000, 1, .warn, "behind"), (1_500, 600, .ok, ""), (999, 0, .ok, "")])
  func theClockOfTheStore(offset: Int, uncertainty: Int, status: DiagnosisStatus, words: String) throws {
    let facts = Self.facts { $0.clock = .known(.init(offset: .milliseconds(offset), uncertainty: .milliseconds(uncertainty))) }
    let verdict = try verdict(.clockStore, facts)
    #expect(verdict.status == status && verdict.summary.contains(words), "\(verdict)")
  }

  @Test func aFactThatCouldNotBeGatheredIsSkippedWithItsReason() throws {
    let facts = Self.facts { $0.info = .unknown("the user parallax may not use INFO") }
    for check in [DiagnosisCheck.redisPersistence, .redisDisk, .redisMemory, .redisEvictionPolicy, .redisMinReplicas, .redisReplicaLag] {
      #expect(try verdict(check, facts) == .skip("the user parallax may not use INFO"))
    }
  }

  @Test func ofSeveralServersTheWorstCounts() throws {
    var facts = Self.facts(.cluster)
    var full = facts.servers[0]
    full.server = "10.0.0.2:6379"
    full.info = .known(Self.healthyInfo.merging(["used_memory": "100", "maxmemory": "100"]) { $1 })
    facts.servers += [full, facts.servers[0]]
    let verdict = try verdict(.redisMemory, facts)
    #expect(verdict.status == .fail && verdict.summary.hasPrefix("10.0.0.2:6379: "))
    #expect(try self.verdict(.redisVersion, facts).summary.contains("3 servers"))
  }
}
