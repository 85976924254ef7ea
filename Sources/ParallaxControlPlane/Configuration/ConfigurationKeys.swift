import ParallaxAPI
import ParallaxServer

/// The keys of the configuration, in the order of `--print-config`.
enum ConfigurationKeys {
  static let all: [ConfigurationKey] = nodeAndServer + highAvailability + redis + work

  static let byPath = Dictionary(uniqueKeysWithValues: all.map { ($0.path, $0) })

  /// The paths of all sections.
  static let sections: Set<String> = Set(
    all.map(\.path).flatMap { path in
      let parts = path.split(separator: ".")
      return (1..<parts.count).map { parts.prefix($0).joined(separator: ".") }
    })

  /// The names directly under a section, as candidates for a misspelled key.
  static func names(in section: String) -> [String] {
    let prefix = section.isEmpty ? "" : section + "."
    let paths = all.map(\.path)
    return Set(paths.filter { $0.hasPrefix(prefix) }.compactMap { $0.dropFirst(prefix.count).split(separator: ".").first.map(String.init) })
      .sorted()
  }

  private static let nodeAndServer: [ConfigurationKey] = [
    ConfigurationKey("node.id", environment: "PARALLAX_NODE_ID", \.node.id, .name(upTo: 128)),
    ConfigurationKey("node.address", environment: "PARALLAX_NODE_ADDRESS", \.node.address, .address),
    ConfigurationKey("server.host", environment: "PARALLAX_HOST", \.server.host, .host),
    ConfigurationKey("server.port", environment: "PARALLAX_PORT", \.server.port, .number(0...65_535)),
    ConfigurationKey(
      "server.drainTimeout", environment: "PARALLAX_DRAIN_TIMEOUT", \.server.drainTimeout, .duration(.zero ... .seconds(3_600))),
    ConfigurationKey("server.drainDelay", environment: "PARALLAX_DRAIN_DELAY", \.server.drainDelay, .duration(.zero ... .seconds(600))),
    ConfigurationKey("server.hosts", \.server.hosts, .hosts),
    ConfigurationKey("server.maxConnections", \.server.maxConnections, .number(1...1_000_000)),
    ConfigurationKey("server.tls.certificate", \.server.tls.certificate, .line),
    ConfigurationKey("server.tls.privateKey", \.server.tls.privateKey, .line),
    ConfigurationKey("server.trustedProxies", \.server.trustedProxies, .networks),
    ConfigurationKey("server.allowedOrigins", \.server.allowedOrigins, .origins),
  ]

  private static let highAvailability: [ConfigurationKey] = [
    ConfigurationKey("highAvailability.enabled", environment: "PARALLAX_HA_ENABLED", \.highAvailability.enabled, .truth),
    ConfigurationKey("highAvailability.clusterId", environment: "PARALLAX_HA_CLUSTER_ID", \.highAvailability.clusterID, .name(upTo: 64)),
    ConfigurationKey("highAvailability.leaderElection.enabled", \.highAvailability.leaderElection.enabled, .truth),
    ConfigurationKey(
      "highAvailability.leaderElection.leaseDuration", environment: "PARALLAX_HA_LEASE_DURATION",
      \.highAvailability.leaderElection.leaseDuration,
      .duration(.milliseconds(500) ... .seconds(600))),
    ConfigurationKey(
      "highAvailability.leaderElection.renewDeadline", environment: "PARALLAX_HA_RENEW_DEADLINE",
      \.highAvailability.leaderElection.renewDeadline,
      .duration(.milliseconds(200) ... .seconds(600))),
    ConfigurationKey(
      "highAvailability.leaderElection.retryPeriod", environment: "PARALLAX_HA_RETRY_PERIOD", \.highAvailability.leaderElection.retryPeriod,
      .duration(.milliseconds(20) ... .seconds(600))),
    ConfigurationKey("highAvailability.leaderElection.priority", \.highAvailability.leaderElection.priority, .number(-100...100)),
    ConfigurationKey("highAvailability.leaderElection.reclaimOnRestart", \.highAvailability.leaderElection.reclaimOnRestart, .truth),
    ConfigurationKey(
      "highAvailability.leaderElection.bootstrapWait", \.highAvailability.leaderElection.bootstrapWait, .duration(.zero ... .seconds(3_600))
    ),
    ConfigurationKey("highAvailability.leaderElection.onStuckDuty", \.highAvailability.leaderElection.onStuckDuty, .choice),
    ConfigurationKey(
      "highAvailability.memberHealth.checkInterval", environment: "PARALLAX_HA_CHECK_INTERVAL",
      \.highAvailability.memberHealth.checkInterval,
      .duration(.milliseconds(50) ... .seconds(600))),
    ConfigurationKey(
      "highAvailability.memberHealth.timeout", environment: "PARALLAX_HA_CHECK_TIMEOUT", \.highAvailability.memberHealth.timeout,
      .duration(.milliseconds(20) ... .seconds(600))),
    ConfigurationKey(
      "highAvailability.memberHealth.unhealthyThreshold", environment: "PARALLAX_HA_UNHEALTHY_THRESHOLD",
      \.highAvailability.memberHealth.unhealthyThreshold,
      .number(1...100)),
    ConfigurationKey(
      "highAvailability.memberHealth.removeAfter", \.highAvailability.memberHealth.removeAfter,
      .duration(.seconds(1) ... .seconds(30 * 86_400))),
    ConfigurationKey(
      "highAvailability.stateSync.batchSize", environment: "PARALLAX_HA_SYNC_BATCH_SIZE", \.highAvailability.stateSync.batchSize,
      .number(1...10_000)),
  ]

  private static let redis: [ConfigurationKey] = [
    ConfigurationKey("redis.url", environment: "PARALLAX_REDIS_URL", \.redis.url, .redisURL, .url),
    ConfigurationKey("redis.cluster.nodes", environment: "PARALLAX_REDIS_CLUSTER_NODES", \.redis.cluster.nodes, .servers(port: 6_379)),
    ConfigurationKey("redis.sentinel.masterName", \.redis.sentinel.masterName, .name(upTo: 128)),
    ConfigurationKey("redis.sentinel.nodes", \.redis.sentinel.nodes, .servers(port: 26_379)),
    ConfigurationKey("redis.sentinel.username", \.redis.sentinel.username, .line),
    ConfigurationKey("redis.sentinel.password", \.redis.sentinel.password, .line, .secret),
    ConfigurationKey("redis.tls.ca", \.redis.tls.ca, .line),
    ConfigurationKey("redis.tls.certificate", \.redis.tls.certificate, .line),
    ConfigurationKey("redis.tls.privateKey", \.redis.tls.privateKey, .line),
    ConfigurationKey("redis.username", \.redis.username, .line),
    ConfigurationKey("redis.password", environment: "PARALLAX_REDIS_PASSWORD", \.redis.password, .line, .secret),
    ConfigurationKey("redis.usernameFile", \.redis.usernameFile, .line),
    ConfigurationKey("redis.passwordFile", \.redis.passwordFile, .line),
    ConfigurationKey("redis.keyPrefix", \.redis.keyPrefix, .keyPrefix),
    ConfigurationKey("redis.connectTimeout", \.redis.connectTimeout, .duration(.milliseconds(10) ... .seconds(60))),
    ConfigurationKey("redis.commandTimeout", \.redis.commandTimeout, .duration(.milliseconds(10) ... .seconds(60))),
    ConfigurationKey("redis.requireReplicas", \.redis.requireReplicas, .number(0...10)),
  ]

  private static let work: [ConfigurationKey] = [
    ConfigurationKey(
      apiKeys: "security.authentication.apiKeys", environment: "PARALLAX_API_KEYS", \.security.authentication.apiKeys),
    ConfigurationKey("security.mtls.enabled", \.security.mtls.enabled, .truth),
    ConfigurationKey("security.mtls.serverCert", \.security.mtls.serverCert, .line),
    ConfigurationKey("security.mtls.serverKey", \.security.mtls.serverKey, .line),
    ConfigurationKey("security.mtls.clientCA", \.security.mtls.clientCA, .line),
    ConfigurationKey("security.mtls.clientAuth", \.security.mtls.clientAuth, .choice),
    ConfigurationKey(identities: "security.mtls.identities", \.security.mtls.identities),
    ConfigurationKey("security.allowUnauthenticated", \.security.allowUnauthenticated, .truth),
    ConfigurationKey("security.protectStatus", \.security.protectStatus, .truth),
    ConfigurationKey("agents.heartbeatInterval", \.agents.heartbeatInterval, .duration(.milliseconds(100) ... .seconds(3_600))),
    ConfigurationKey("agents.heartbeatTimeout", \.agents.heartbeatTimeout, .duration(.milliseconds(200) ... .seconds(86_400))),
    ConfigurationKey("agents.resumeGrace", \.agents.resumeGrace, .duration(.zero ... .seconds(3_600))),
    ConfigurationKey("agents.maxMessageSize", \.agents.maxMessageSize, .size(1 << 10...256 << 20)),
    ConfigurationKey("agents.maxMessagesPerSecond", \.agents.maxMessagesPerSecond, .number(1...1_000_000)),
    ConfigurationKey("executions.retention", \.executions.retention, .duration(.seconds(1) ... .seconds(3_650 * 86_400))),
    ConfigurationKey("executions.maxRetained", \.executions.maxRetained, .number(1...100_000_000)),
    ConfigurationKey("executions.defaultTimeout", \.executions.defaultTimeout, .duration(.milliseconds(1) ... .seconds(86_400))),
    ConfigurationKey("executions.agentWait", \.executions.agentWait, .duration(.zero ... .seconds(3_600))),
    ConfigurationKey("limits.requestBody", \.limits.requestBody, .size(1 << 10...256 << 20)),
    ConfigurationKey("limits.requestsPerMinute", \.limits.requestsPerMinute, .numberOrOff(1...1_000_000)),
    ConfigurationKey("patterns.directory", environment: "PARALLAX_PATTERNS_DIR", \.patterns.directory, .line),
    ConfigurationKey("logging.level", environment: "PARALLAX_LOG_LEVEL", \.logging.level, .choice),
    ConfigurationKey("logging.format", environment: "PARALLAX_LOG_FORMAT", \.logging.format, .choice),
  ]
}

extension ValueType<String> {
  fileprivate static let host = text("a host name or an IP address") { Self.isHost($0) }

  fileprivate static let address = text("host:port by which other nodes reach this one") { text in
    guard let colon = text.lastIndex(of: ":"), let port = Int(text[colon...].dropFirst()) else { return false }
    return isHost(String(text[..<colon])) && (1...65_535).contains(port)
  }

  fileprivate static let line = text("a text of 1 to 4096 characters without line breaks") {
    (1...4_096).contains($0.unicodeScalars.count) && !$0.unicodeScalars.contains { $0.properties.generalCategory == .control }
  }

  /// Braces in a prefix would form a hash tag, which puts every key into one slot of a Redis Cluster.
  fileprivate static let keyPrefix = text("1 to 64 visible ASCII characters without '{' and '}'") {
    (1...64).contains($0.utf8.count)
      && $0.utf8.allSatisfy { (0x21...0x7E).contains($0) && $0 != UInt8(ascii: "{") && $0 != UInt8(ascii: "}") }
  }

  fileprivate static func isHost(_ text: String) -> Bool {
    (1...253).contains(text.utf8.count)
      && text.utf8.allSatisfy {
        PatternDefinition.isNameByte($0) || [UInt8(ascii: ":"), UInt8(ascii: "["), UInt8(ascii: "]"), UInt8(ascii: "%")].contains($0)
      }
  }
}

extension ValueType<[String]> {
  fileprivate static let hosts = list("host names or IP addresses without ports, such as parallax.example.org") { name in
    ValueType<String>.isHost(name) && !(name.contains(":") && name.utf8.count { $0 == UInt8(ascii: ":") } == 1)
  }

  fileprivate static let networks = list("IP addresses or networks, such as 10.0.0.0/8") { IPNetwork($0) != nil }

  fileprivate static let origins = list("origins, such as https://example.org, or *") { origin in
    guard origin != "*" else { return true }
    guard let scheme = ["https://", "http://"].first(where: { origin.hasPrefix($0) }) else { return false }
    let host = origin.dropFirst(scheme.count)
    return !host.isEmpty && host.utf8.allSatisfy { (0x21...0x7E).contains($0) && !"/?#@\\\"'".utf8.contains($0) }
  }
}
