package import ParallaxRedis

/// The Redis version, commands, keys and channels that the stores need.
///
/// The probes change nothing: a probe reads, writes to a name that is never used and only if it exists, or has arguments that Redis refuses
/// after it has checked the rights.
package enum StoreRequirements {
  /// The oldest version: 7.0 has `SET … NX GET`, and applies `min-replicas-to-write` to scripts too.
  package static let minimumRedisVersion = RedisVersion(7, 0)

  /// The requirements of all stores.
  ///
  /// - Parameters:
  ///   - keys: The names of the keys and channels.
  ///   - requiresReplicas: Whether the election waits for replicas.
  /// - Returns: The oldest version, and one probe per right.
  package static func all(keys: KeySpace, requiresReplicas: Bool) -> RedisServerRequirements {
    var probes = scripts + strings(keys) + hashes(keys) + sets(keys) + streams(keys) + channels(keys)
    probes.append(.init(RedisCommand("TIME")))
    if requiresReplicas { probes.append(.init(RedisCommand("WAIT", 0, 0))) }
    return RedisServerRequirements(minimumRedisVersion: minimumRedisVersion, probes: probes)
  }

  private typealias Probe = RedisServerRequirements.Probe

  /// The last part of the probes' names: no real key has it, since a percent sign in a name is encoded.
  private static let nobody = "%probe"

  private static let scripts: [Probe] = [
    Probe(RedisCommand("EVALSHA", String(repeating: "0", count: 40), 0)), Probe(RedisCommand("EVAL", "return 1", 0)),
    Probe(RedisCommand("SCRIPT", "LOAD", "return 1")),
  ]

  private static func strings(_ keys: KeySpace) -> [Probe] {
    let key = keys.prefix + "idempotency:" + nobody
    return [
      Probe(RedisCommand("GET", keys.leader), on: keys.leader), Probe(RedisCommand("SET", key, "", "XX"), on: key),
      Probe(RedisCommand("EXISTS", key), on: key), Probe(RedisCommand("UNLINK", key), on: key),
      Probe(RedisCommand("PEXPIRE", key, 1), on: key), Probe(RedisCommand("PERSIST", key), on: key),
    ]
  }

  private static func hashes(_ keys: KeySpace) -> [Probe] {
    let execution = keys.prefix + "execution:" + nobody
    let tasks = "{" + execution + "}:tasks"
    let agent = keys.prefix + "agent:" + nobody
    let pattern = keys.prefix + "pattern:" + nobody
    // The field without a value is refused after the check of the rights.
    let writes = [execution, tasks, agent, pattern, keys.members].map { Probe(RedisCommand("HSET", $0, "f", "v", "g"), on: $0) }
    return writes + [
      Probe(RedisCommand("HGET", execution, "f"), on: execution), Probe(RedisCommand("HMGET", execution, "f"), on: execution),
      Probe(RedisCommand("HGETALL", tasks), on: tasks), Probe(RedisCommand("HLEN", tasks), on: tasks),
      Probe(RedisCommand("HVALS", pattern), on: pattern), Probe(RedisCommand("DEL", execution), on: execution),
      Probe(RedisCommand("HDEL", keys.members, ""), on: keys.members),
      // The increment that is no number is refused after the check of the rights.
      Probe(RedisCommand("HINCRBY", keys.nodes, "", "x"), on: keys.nodes),
    ]
  }

  private static func sets(_ keys: KeySpace) -> [Probe] {
    let set = keys.prefix + "node:" + nobody + ":executions"
    let bucket = keys.executionBuckets + ":" + nobody
    return [
      // SADD always writes; the next command removes the set.
      Probe(RedisCommand("SADD", set, ""), on: set), Probe(RedisCommand("SREM", set, ""), on: set),
      Probe(RedisCommand("SMEMBERS", set), on: set), Probe(RedisCommand("ZADD", bucket, "XX", 0, ""), on: bucket),
      Probe(RedisCommand("ZREM", bucket, ""), on: bucket), Probe(RedisCommand("ZRANGE", bucket, 0, 0), on: bucket),
      Probe(RedisCommand("ZCARD", bucket), on: bucket),
    ]
  }

  private static func streams(_ keys: KeySpace) -> [Probe] {
    let inbox = keys.prefix + "node:" + nobody + ":inbox"
    return [
      Probe(RedisCommand("XADD", inbox, "NOMKSTREAM", "*", "f", "v"), on: inbox), Probe(RedisCommand("XLEN", inbox), on: inbox),
      Probe(RedisCommand("XDEL", inbox, "0-1"), on: inbox), Probe(RedisCommand("XACK", inbox, "g", "0-1"), on: inbox),
      // The missing stream is refused after the check of the rights.
      Probe(RedisCommand("XGROUP", "CREATE", inbox, "g", "0"), on: inbox),
      Probe(RedisCommand("XREADGROUP", "GROUP", "g", "c", "COUNT", 1, "STREAMS", inbox, "0"), on: inbox),
    ]
  }

  /// Publishes empty messages, which all nodes ignore.
  ///
  /// The subscriptions themselves show whether the user may subscribe.
  private static func channels(_ keys: KeySpace) -> [Probe] {
    [keys.leader, keys.executionEvents, keys.agentEvents, keys.clusterEvents].map { channel in
      Probe(RedisCommand("PUBLISH", channel, ""), on: "the channel \(channel)")
    }
  }
}
