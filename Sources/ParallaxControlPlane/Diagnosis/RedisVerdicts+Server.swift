import ParallaxAPI
import ParallaxRedis
import ParallaxRedisStores

/// The verdicts about one server.
extension RedisVerdicts {
  func latency(of server: RedisServerFacts) -> Verdict {
    server.latency.judged { latency in
      let summary = "a round trip takes \(latency.median.readable), at most \(latency.longest.readable)"
      let remedy = "look for slow commands and for the way to the server: \(server.cli) SLOWLOG GET 10; \(server.cli) --latency"
      if latency.median >= Self.tooSlow {
        return .fail(summary, cause: "renewals of leadership come late, and each execution waits for three round trips", remedy: remedy)
      }
      return latency.median >= Self.slow
        ? .warn(summary, cause: "each execution waits for three round trips", remedy: remedy) : .ok(summary)
    }
  }

  func role(of server: RedisServerFacts) -> Verdict {
    server.role.judged { role in
      switch role {
      case .master: return .ok("it is a master")
      case .replica(let master, let link):
        return .fail(
          "it is a replica of \(master) (link: \(link)), which refuses writes",
          cause: "redis.url names a replica, or its master has failed over to another server",
          remedy:
            "set redis.url to the master, or let sentinels name it (redis.sentinel); to promote this server: \(server.cli) REPLICAOF NO ONE"
        )
      case .other(let name):
        return .fail(
          "it is a \(name), which keeps no data", cause: "the address is not that of a master",
          remedy: name == "sentinel" ? "list it under redis.sentinel.nodes instead of redis.url" : "set redis.url to the master")
      }
    }
  }

  func version(of server: RedisServerFacts) -> Verdict {
    server.identity.judged { identity in
      let minimum = StoreRequirements.minimumRedisVersion
      guard identity.name == "redis", let version = RedisVersion(identity.version), version < minimum else {
        return .ok("it is \(identity.name) \(identity.version)")
      }
      return .fail(
        "it is Redis \(identity.version), which is older than \(minimum)",
        cause: "it lacks SET … NX GET, and does not apply min-replicas-to-write to scripts: acknowledged writes could be lost",
        remedy: "upgrade it to Redis \(minimum) or later, or to Valkey")
    }
  }

  func rights(of server: RedisServerFacts) -> Verdict {
    server.rights.judged { gaps in
      if !gaps.unknown.isEmpty {
        return .fail(
          "it lacks \(gaps.unknown.distinct.joined(separator: ", "))",
          cause: "it is a proxy, or commands are renamed; it says: \(gaps.words ?? "nothing")",
          remedy: "set redis.url to Redis or Valkey itself, and remove rename-command from its configuration")
      }
      guard !gaps.forbidden.isEmpty else { return .ok("the user \(facts.user) has every right that a node needs") }
      let denied = gaps.forbidden.distinct
      return .fail(
        "the user \(facts.user) has no right to \(denied.joined(separator: ", "))",
        cause: "a node stays unready without it; the server says: \(gaps.words ?? "NOPERM")",
        remedy: "\(server.cli) ACL SETUSER \(facts.user) \(Self.grants(denied, prefix: facts.keyPrefix))")
    }
  }

  /// The rules of ACL SETUSER that grant what was denied; a key or a channel may be what is missing, so that they are granted too.
  static func grants(_ denied: [String], prefix: String) -> String {
    // Of a container only the part that a node uses.
    let parts = ["xgroup": "xgroup|create", "script": "script|load"]
    let names = denied.compactMap { $0.split(separator: " ").first?.lowercased() }
    let commands = names.map { "+\(parts[$0] ?? $0)" }.distinct
    let isKey = denied.contains { $0.contains(" on ") && !$0.contains("the channel") }
    let isChannel = denied.contains { $0.contains("the channel") }
    let patterns = (isKey ? ["\"~\(prefix)*\"", "\"~{\(prefix)*\""] : []) + (isChannel ? ["\"&\(prefix)*\""] : [])
    return (patterns + commands).joined(separator: " ")
  }

  func persistence(of server: RedisServerFacts) -> Verdict {
    server.info.judged { info in
      let remedy = "\(server.cli) CONFIG SET appendonly yes && \(server.cli) CONFIG REWRITE"
      if info["aof_enabled"] == "1" {
        guard server.settings.value?["appendfsync"] == "no" else { return .ok("the append-only file is on") }
        return .warn(
          "the append-only file is on, and appendfsync is no", cause: "a crash of the machine loses the writes of about 30 s",
          remedy: "\(server.cli) CONFIG SET appendfsync everysec")
      }
      guard let save = server.settings.value?["save"] else {
        return .warn(
          "the append-only file is off; whether there are snapshots is unknown, since CONFIG GET is denied",
          cause: "a restart loses all writes since the last snapshot", remedy: remedy)
      }
      return save.isEmpty
        ? .warn(
          "nothing is kept on disk: neither an append-only file nor snapshots",
          cause: "a restart of Redis loses everything but what the nodes still remember", remedy: remedy)
        : .warn(
          "only snapshots are kept on disk (save \(save))", cause: "a restart loses all writes since the last snapshot", remedy: remedy)
    }
  }

  func disk(of server: RedisServerFacts) -> Verdict {
    server.info.judged { info in
      let remedy = "free space below \"dir\" (\(server.cli) CONFIG GET dir; df -h), then: \(server.cli) BGSAVE"
      if let status = info["aof_last_write_status"], info["aof_enabled"] == "1", status != "ok" {
        return .fail(
          "the last write to the append-only file failed", cause: "the disk is full or read-only; Redis refuses writes (MISCONF)",
          remedy: remedy)
      }
      if let status = info["rdb_last_bgsave_status"], status != "ok" {
        let stops = server.settings.value?["stop-writes-on-bgsave-error"] != "no"
        let cause = "the disk is full or read-only, or there is no memory for the fork"
        return stops
          ? .fail("the last snapshot failed", cause: "\(cause); Redis refuses writes (MISCONF) while snapshots are on", remedy: remedy)
          : .warn("the last snapshot failed", cause: cause, remedy: remedy)
      }
      if let status = info["aof_last_bgrewrite_status"], status != "ok" {
        return .warn(
          "the last rewrite of the append-only file failed", cause: "the file grows until a rewrite succeeds",
          remedy: "free space, then: \(server.cli) BGREWRITEAOF")
      }
      return .ok("the last writes to disk succeeded")
    }
  }

  func memory(of server: RedisServerFacts) -> Verdict {
    server.info.judged { info in
      guard let used = info["used_memory"].flatMap({ Int($0) }) else { return .skip("INFO has no used_memory") }
      let limit = info["maxmemory"].flatMap { Int($0) } ?? 0
      guard limit > 0 else { return unlimited(used, info, server) }
      let share = Double(used) / Double(limit)
      let summary = "\(used.bytesText) of \(limit.bytesText) are used (\(Int((share * 100).rounded(.down))) %)"
      let remedy =
        "raise the limit (\(server.cli) CONFIG SET maxmemory …), or keep fewer executions: executions.maxRetained, executions.retention"
      if share >= 1 {
        return .fail(summary, cause: "Redis refuses new executions (OOM), and results wait for memory", remedy: remedy)
      }
      return share >= Self.nearlyFull ? .warn(summary, cause: "new executions are refused when it is full", remedy: remedy) : .ok(summary)
    }
  }

  private func unlimited(_ used: Int, _ info: [String: String], _ server: RedisServerFacts) -> Verdict {
    let summary = "\(used.bytesText) are used, and maxmemory sets no limit"
    let resident = info["used_memory_rss"].flatMap { Int($0) } ?? used
    guard let total = info["total_system_memory"].flatMap({ Int($0) }), total > 0, Double(resident) >= Double(total) * Self.nearlyFull
    else {
      return .ok(summary)
    }
    return .warn(
      "\(resident.bytesText) of the machine's \(total.bytesText) are used", cause: "the system ends Redis when its memory is full",
      remedy: "set a limit below the machine's memory: \(server.cli) CONFIG SET maxmemory …")
  }

  func evictionPolicy(of server: RedisServerFacts) -> Verdict {
    server.info.judged { info in
      guard let policy = info["maxmemory_policy"] ?? server.settings.value?["maxmemory-policy"] else {
        return .skip("INFO has no maxmemory_policy")
      }
      if policy == "noeviction" { return .ok("maxmemory-policy is noeviction") }
      let remedy = "\(server.cli) CONFIG SET maxmemory-policy noeviction && \(server.cli) CONFIG REWRITE"
      let summary = "maxmemory-policy is \(policy)"
      guard info["maxmemory"].map({ $0 != "0" }) ?? true else {
        return .warn(summary, cause: "as soon as maxmemory is set, Redis removes executions instead of refusing new ones", remedy: remedy)
      }
      return policy.hasPrefix("volatile")
        ? .warn(
          summary, cause: "with full memory Redis removes idempotency keys, so that repeated requests run twice", remedy: remedy)
        : .fail(summary, cause: "with full memory Redis removes executions, agents and the record of the leader", remedy: remedy)
    }
  }

  func minReplicas(of server: RedisServerFacts) -> Verdict {
    server.info.judged { info in
      let replicas = server.replicas
      if requiredReplicas > replicas.count {
        return .fail(
          "redis.requireReplicas is \(requiredReplicas), and \(replicas.count) replicas are connected",
          cause: "no renewal of leadership can be confirmed, so that nobody leads",
          remedy: "start the missing replicas, or set redis.requireReplicas to \(replicas.count)")
      }
      guard let setting = server.settings.value?["min-replicas-to-write"].flatMap({ Int($0) }) else {
        return .skip("min-replicas-to-write is unknown: \(server.settings.reason ?? "CONFIG GET does not have it")")
      }
      let good = info["min_slaves_good_slaves"].flatMap { Int($0) } ?? replicas.count
      if setting > good {
        return .fail(
          "min-replicas-to-write is \(setting), and \(good) replicas are up to date", cause: "Redis refuses writes (NOREPLICAS)",
          remedy: "start the missing replicas; until then: \(server.cli) CONFIG SET min-replicas-to-write \(good)")
      }
      if setting > 0 { return .ok("min-replicas-to-write is \(setting), and \(good) replicas are up to date") }
      if replicas.isEmpty, facts.deployment == .single { return .ok("there are no replicas, so that none can be required") }
      return .warn(
        "min-replicas-to-write is 0", cause: "a master that is cut off keeps accepting writes, which are lost when another one takes over",
        remedy: "\(server.cli) CONFIG SET min-replicas-to-write 1 min-replicas-max-lag 1 && \(server.cli) CONFIG REWRITE")
    }
  }

  func replicaLag(of server: RedisServerFacts) -> Verdict {
    server.info.judged { info in
      let replicas = server.replicas
      guard !replicas.isEmpty else {
        return facts.deployment == .single
          ? .skip("there are no replicas")
          : .warn(
            "no replica is connected", cause: "nothing can take over when this master fails",
            remedy: "start a replica: replicaof in its configuration")
      }
      let end = info["master_repl_offset"].flatMap { Int($0) } ?? 0
      let late = replicas.filter { $0.state != "online" || $0.lag > Self.longestLag || end - $0.offset > Self.largestLag }
      guard let worst = late.max(by: { $0.offset > $1.offset }) else {
        return .ok("\(replicas.count) replicas follow within \(replicas.map(\.lag).max() ?? 0) s")
      }
      return .warn(
        "the replica \(worst.address) is \((end - worst.offset).bytesText) and \(worst.lag) s behind (state: \(worst.state))",
        cause: "a failover to it loses these writes; the nodes write again what they remember of the last minute",
        remedy: "look at the replica and the way to it: redis-cli -h \(worst.host) -p \(worst.port) INFO replication")
    }
  }

  func clock(of server: RedisServerFacts) -> Verdict {
    server.clock.judged { clock in
      let offset = clock.offset
      let certain = max(.zero, (offset < .zero ? .zero - offset : offset) - clock.uncertainty)
      let side = offset < .zero ? "behind" : "ahead of"
      let distance = offset < .zero ? .zero - offset : offset
      guard certain >= ClusterVerdicts.clockTolerance else {
        return .ok("the clock of Redis differs from this one by \(distance.readable)")
      }
      return .warn(
        "the clock of Redis is \(distance.readable) \(side) this machine's",
        cause:
          "elections do not depend on it; times in logs differ, tokens expire early or late, and terms after a loss of all data begin there",
        remedy: "synchronize both machines: timedatectl set-ntp true; chronyc tracking")
    }
  }
}

extension RedisServerFacts {
  /// A replica as INFO shows it at its master.
  struct Replica: Sendable, Hashable {
    var host: String
    var port: String
    var state: String
    var offset: Int
    /// The seconds since the replica's last acknowledgement.
    var lag: Int

    var address: String { "\(host):\(port)" }
  }

  /// The connected replicas; none if INFO is unknown.
  var replicas: [Replica] {
    guard let info = info.value else { return [] }
    let lines = info.filter { $0.key.wholeMatch(of: /slave[0-9]+/) != nil }.sorted { $0.key < $1.key }
    return lines.map { line in
      let pairs = line.value.split(separator: ",").compactMap { pair -> (Substring, Substring)? in
        pair.firstIndex(of: "=").map { (pair[..<$0], pair[pair.index(after: $0)...]) }
      }
      let fields = Dictionary(pairs) { first, _ in first }
      return Replica(
        host: String(fields["ip"] ?? "?"), port: String(fields["port"] ?? "?"), state: String(fields["state"] ?? "unknown"),
        offset: fields["offset"].flatMap { Int($0) } ?? 0, lag: fields["lag"].flatMap { Int($0) } ?? 0)
    }
  }
}

extension Fact {
  /// The reason of an unknown fact.
  var reason: String? {
    if case .unknown(let reason) = self { reason } else { nil }
  }

  /// The judgment of a known fact; else skipped.
  func judged(_ judge: (Value) -> Verdict) -> Verdict {
    switch self {
    case .known(let value): judge(value)
    case .unknown(let reason): .skip(reason)
    }
  }
}

extension Int {
  /// A number of bytes for people, such as 1.5 MiB.
  fileprivate var bytesText: String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB"]
    var (value, unit) = (Double(self), 0)
    while abs(value) >= 1_024, unit < units.count - 1 { (value, unit) = (value / 1_024, unit + 1) }
    let tenths = Int((value * 10).rounded())
    return unit == 0 || tenths.isMultiple(of: 10) ? "\(tenths / 10) \(units[unit])" : "\(tenths / 10).\(abs(tenths) % 10) \(units[unit])"
  }
}

extension [String] {
  /// The elements without repetitions, in order.
  fileprivate var distinct: [String] { reduce(into: []) { if !$0.contains($1) { $0.append($1) } } }
}
