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
    ConfigurationKey(
      "node.id", environment: "PARALLAX_NODE_ID", \.node.id, .name(upTo: 128),
      "The node's id, unique in its cluster and kept over restarts; by default the host name."),
    ConfigurationKey(
      "node.address", environment: "PARALLAX_NODE_ADDRESS", \.node.address, .address,
      "The address by which other nodes reach this one; by default derived from the bound address."),
    ConfigurationKey(
      "server.host", environment: "PARALLAX_HOST", \.server.host, .host,
      "The host name or IP address to listen on; 0.0.0.0 for all addresses."),
    ConfigurationKey(
      "server.port", environment: "PARALLAX_PORT", \.server.port, .number(0...65_535),
      "The port to listen on; 0 takes any free port."),
    ConfigurationKey(
      "server.drainTimeout", environment: "PARALLAX_DRAIN_TIMEOUT", \.server.drainTimeout, .duration(.zero ... .seconds(3_600)),
      "The longest time that a stopping node gives to work in progress."),
    ConfigurationKey(
      "server.drainDelay", environment: "PARALLAX_DRAIN_DELAY", \.server.drainDelay, .duration(.zero ... .seconds(600)),
      "The time that a stopping node still accepts HTTP connections, for load balancers to notice."),
    ConfigurationKey(
      "server.hosts", \.server.hosts, .hosts, isReloadable: true,
      "Names under which the node is called, besides loopback and node.address."),
    ConfigurationKey(
      "server.maxConnections", \.server.maxConnections, .number(1...1_000_000),
      "The largest number of open connections."),
    ConfigurationKey(
      "server.tls.certificate", \.server.tls.certificate, .line,
      "The PEM file of the server's certificate, followed by its intermediate certificates; it is read again when it changes."),
    ConfigurationKey(
      "server.tls.privateKey", \.server.tls.privateKey, .line,
      "The PEM file of the certificate's private key; it is read again when it changes."),
    ConfigurationKey(
      "server.trustedProxies", \.server.trustedProxies, .networks, isReloadable: true,
      "The proxies whose X-Forwarded-For and X-Forwarded-Host are trusted."),
    ConfigurationKey(
      "server.allowedOrigins", \.server.allowedOrigins, .origins, isReloadable: true,
      "The origins of web pages that may call the node."),
  ]

  private static let highAvailability: [ConfigurationKey] = [
    ConfigurationKey(
      "highAvailability.enabled", environment: "PARALLAX_HA_ENABLED", \.highAvailability.enabled, .truth,
      "Whether the node shares its stores with other nodes."),
    ConfigurationKey(
      "highAvailability.clusterId", environment: "PARALLAX_HA_CLUSTER_ID", \.highAvailability.clusterID, .name(upTo: 64),
      "The name of the cluster; a node refuses the stores of another one."),
    ConfigurationKey(
      "highAvailability.leaderElection.enabled", \.highAvailability.leaderElection.enabled, .truth,
      "Whether the node campaigns for leadership; without, it only watches the election."),
    ConfigurationKey(
      "highAvailability.leaderElection.leaseDuration", environment: "PARALLAX_HA_LEASE_DURATION",
      \.highAvailability.leaderElection.leaseDuration, .duration(.milliseconds(500) ... .seconds(600)),
      "The time without a renewal after which other nodes may take over."),
    ConfigurationKey(
      "highAvailability.leaderElection.renewDeadline", environment: "PARALLAX_HA_RENEW_DEADLINE",
      \.highAvailability.leaderElection.renewDeadline, .duration(.milliseconds(200) ... .seconds(600)),
      "The time without an acknowledged renewal after which the leader stops leading; by default two thirds of leaseDuration."),
    ConfigurationKey(
      "highAvailability.leaderElection.retryPeriod", environment: "PARALLAX_HA_RETRY_PERIOD", \.highAvailability.leaderElection.retryPeriod,
      .duration(.milliseconds(20) ... .seconds(600)),
      "The time between two renewals or attempts; by default 2/15 of leaseDuration."),
    ConfigurationKey(
      "highAvailability.leaderElection.priority", \.highAvailability.leaderElection.priority, .number(-100...100),
      "The priority among candidates; the greater one campaigns first."),
    ConfigurationKey(
      "highAvailability.leaderElection.reclaimOnRestart", \.highAvailability.leaderElection.reclaimOnRestart, .truth,
      "Whether a restarted node takes over the lease of its former process at once."),
    ConfigurationKey(
      "highAvailability.leaderElection.bootstrapWait", \.highAvailability.leaderElection.bootstrapWait,
      .duration(.zero ... .seconds(3_600)),
      "The wait before the first election on an empty store; by default leaseDuration."),
    ConfigurationKey(
      "highAvailability.leaderElection.onStuckDuty", \.highAvailability.leaderElection.onStuckDuty, .choice,
      "What happens when a leader's duty ignores the end of its term: a log entry, or the end of the process too."),
    ConfigurationKey(
      "highAvailability.memberHealth.checkInterval", environment: "PARALLAX_HA_CHECK_INTERVAL",
      \.highAvailability.memberHealth.checkInterval, .duration(.milliseconds(50) ... .seconds(600)),
      "The time between two heartbeats of a node, and between two checks of the others."),
    ConfigurationKey(
      "highAvailability.memberHealth.timeout", environment: "PARALLAX_HA_CHECK_TIMEOUT", \.highAvailability.memberHealth.timeout,
      .duration(.milliseconds(20) ... .seconds(600)),
      "The time-out of one heartbeat or check."),
    ConfigurationKey(
      "highAvailability.memberHealth.unhealthyThreshold", environment: "PARALLAX_HA_UNHEALTHY_THRESHOLD",
      \.highAvailability.memberHealth.unhealthyThreshold, .number(1...100),
      "The number of missed heartbeats in a row that make a member unhealthy."),
    ConfigurationKey(
      "highAvailability.memberHealth.removeAfter", \.highAvailability.memberHealth.removeAfter,
      .duration(.seconds(1) ... .seconds(30 * 86_400)),
      "The time after which an unhealthy member is removed."),
    ConfigurationKey(
      "highAvailability.stateSync.batchSize", environment: "PARALLAX_HA_SYNC_BATCH_SIZE", \.highAvailability.stateSync.batchSize,
      .number(1...10_000),
      "The largest number of events in one batch."),
    ConfigurationKey(
      "highAvailability.witness", environment: "PARALLAX_HA_WITNESS", \.highAvailability.witness, .choiceWithOff,
      "Whether a process beside the node says in the store that the node has ended, so that a crash costs no lease."),
  ]

  private static let redis: [ConfigurationKey] = [
    ConfigurationKey(
      "redis.url", environment: "PARALLAX_REDIS_URL", \.redis.url, .redisURL, secrecy: .url,
      "The Redis server; beside cluster or sentinel nodes it supplies the credentials and TLS alone. Without Redis the state is in memory."),
    ConfigurationKey(
      "redis.cluster.nodes", environment: "PARALLAX_REDIS_CLUSTER_NODES", \.redis.cluster.nodes, .servers(port: 6_379),
      "Some nodes of a Redis Cluster."),
    ConfigurationKey(
      "redis.sentinel.masterName", \.redis.sentinel.masterName, .name(upTo: 128),
      "The name under which the sentinels know the master."),
    ConfigurationKey(
      "redis.sentinel.nodes", \.redis.sentinel.nodes, .servers(port: 26_379),
      "All sentinels."),
    ConfigurationKey(
      "redis.sentinel.username", \.redis.sentinel.username, .line,
      "The user for the sentinels."),
    ConfigurationKey(
      "redis.sentinel.password", \.redis.sentinel.password, .line, secrecy: .secret,
      "The password for the sentinels."),
    ConfigurationKey(
      "redis.tls.ca", \.redis.tls.ca, .line,
      "The PEM file of the authorities that sign Redis' certificate; by default the system's."),
    ConfigurationKey(
      "redis.tls.certificate", \.redis.tls.certificate, .line,
      "The PEM file of the node's certificate for Redis."),
    ConfigurationKey(
      "redis.tls.privateKey", \.redis.tls.privateKey, .line,
      "The PEM file of that certificate's private key."),
    ConfigurationKey(
      "redis.username", \.redis.username, .line,
      "The ACL user of Redis."),
    ConfigurationKey(
      "redis.password", environment: "PARALLAX_REDIS_PASSWORD", \.redis.password, .line, secrecy: .secret,
      "The password of Redis."),
    ConfigurationKey(
      "redis.usernameFile", \.redis.usernameFile, .line,
      "The file of the user, read at each login."),
    ConfigurationKey(
      "redis.passwordFile", \.redis.passwordFile, .line,
      "The file of the password, read at each login, so that a new one needs no restart."),
    ConfigurationKey(
      "redis.keyPrefix", \.redis.keyPrefix, .keyPrefix,
      "The prefix of every key and channel."),
    ConfigurationKey(
      "redis.connectTimeout", \.redis.connectTimeout, .duration(.milliseconds(10) ... .seconds(60)),
      "The time-out of a connection to Redis."),
    ConfigurationKey(
      "redis.commandTimeout", \.redis.commandTimeout, .duration(.milliseconds(10) ... .seconds(60)),
      "The time-out of a command of Redis."),
    ConfigurationKey(
      "redis.requireReplicas", \.redis.requireReplicas, .number(0...10),
      "The replicas that must acknowledge a grant or renewal of leadership."),
  ]

  private static let work: [ConfigurationKey] = [
    ConfigurationKey(
      apiKeys: "security.authentication.apiKeys", environment: "PARALLAX_API_KEYS", \.security.authentication.apiKeys, isReloadable: true,
      "The API keys; with keys, the node answers their holders only, except on open routes."),
    ConfigurationKey(
      "security.authentication.jwt.jwksFile", \.security.authentication.jwt.jwksFile, .line, isReloadable: true,
      "The JWKS file of the keys that sign callers' tokens; it is read again when it changes."),
    ConfigurationKey(
      "security.authentication.jwt.publicKey", \.security.authentication.jwt.publicKey, .line, isReloadable: true,
      "The PEM file of the one public key that signs callers' tokens; it is read again when it changes."),
    ConfigurationKey(
      "security.authentication.jwt.issuer", \.security.authentication.jwt.issuer, .line, isReloadable: true,
      "The issuer (iss) that a token must have."),
    ConfigurationKey(
      "security.authentication.jwt.audience", \.security.authentication.jwt.audience, .audiences, isReloadable: true,
      "The audiences (aud) of which a token must have one."),
    ConfigurationKey(
      "security.authentication.jwt.scopesClaim", \.security.authentication.jwt.scopesClaim, .claim, isReloadable: true,
      "The claim with the scopes of a token's holder: a text with spaces, or a list."),
    ConfigurationKey(
      "security.authentication.jwt.algorithms", \.security.authentication.jwt.algorithms, .algorithms, isReloadable: true,
      "The accepted signature algorithms."),
    ConfigurationKey(
      "security.authentication.jwt.leeway", \.security.authentication.jwt.leeway, .duration(.zero ... .seconds(300)), isReloadable: true,
      "The tolerance of a token's times, for clocks that differ."),
    ConfigurationKey(
      "security.mtls.enabled", \.security.mtls.enabled, .truth,
      "Whether clients have certificates."),
    ConfigurationKey(
      "security.mtls.serverCert", \.security.mtls.serverCert, .line,
      "The PEM file of the server's certificate; by default server.tls.certificate. It is read again when it changes."),
    ConfigurationKey(
      "security.mtls.serverKey", \.security.mtls.serverKey, .line,
      "The PEM file of its private key."),
    ConfigurationKey(
      "security.mtls.clientCA", \.security.mtls.clientCA, .line,
      "The PEM file of the authorities that sign clients' certificates; it is read again when it changes."),
    ConfigurationKey(
      "security.mtls.clientAuth", \.security.mtls.clientAuth, .choice,
      "Whether a client must have a certificate (require), or may do without (request)."),
    ConfigurationKey(
      identities: "security.mtls.identities", \.security.mtls.identities,
      "The names in clients' certificates that have scopes."),
    ConfigurationKey(
      "security.allowUnauthenticated", \.security.allowUnauthenticated, .truth, isReloadable: true,
      "Whether a node that other machines can reach answers without access control."),
    ConfigurationKey(
      "security.protectStatus", \.security.protectStatus, .truth,
      "Whether metrics and GET /ha/status need the scope read."),
    ConfigurationKey(
      "agents.heartbeatInterval", \.agents.heartbeatInterval, .duration(.milliseconds(100) ... .seconds(3_600)),
      "The time between two heartbeats that the node requests of an agent."),
    ConfigurationKey(
      "agents.heartbeatTimeout", \.agents.heartbeatTimeout, .duration(.milliseconds(200) ... .seconds(86_400)),
      "The silence after which the node closes an agent's connection."),
    ConfigurationKey(
      "agents.resumeGrace", \.agents.resumeGrace, .duration(.zero ... .seconds(3_600)),
      "The time that a lost agent has to reconnect before its tasks go to others."),
    ConfigurationKey(
      "agents.maxMessageSize", \.agents.maxMessageSize, .size(1 << 10...256 << 20),
      "The largest message of an agent."),
    ConfigurationKey(
      "agents.maxMessagesPerSecond", \.agents.maxMessagesPerSecond, .number(1...1_000_000),
      "The largest number of messages per second of one agent."),
    ConfigurationKey(
      "agents.compressFrom", \.agents.compressFrom, .sizeOrOff(64...256 << 20),
      "The size from which the node compresses messages to agents that offer permessage-deflate; off agrees to no compression."),
    ConfigurationKey(
      "executions.retention", \.executions.retention, .duration(.seconds(1) ... .seconds(3_650 * 86_400)),
      "The time that executions are kept, from their end."),
    ConfigurationKey(
      "executions.maxRetained", \.executions.maxRetained, .number(1...100_000_000),
      "The number of executions beyond which the oldest ended ones are removed."),
    ConfigurationKey(
      "executions.defaultTimeout", \.executions.defaultTimeout, .duration(.milliseconds(1) ... .seconds(86_400)),
      "The time-out of an execution if neither its caller nor its pattern sets one."),
    ConfigurationKey(
      "executions.agentWait", \.executions.agentWait, .duration(.zero ... .seconds(3_600)),
      "The time that an execution with a waiting caller waits for an agent with its capabilities."),
    ConfigurationKey(
      "limits.requestBody", \.limits.requestBody, .size(1 << 10...256 << 20), isReloadable: true,
      "The largest request body."),
    ConfigurationKey(
      "limits.requestsPerMinute", \.limits.requestsPerMinute, .numberOrOff(1...1_000_000), isReloadable: true,
      "The requests a minute of one caller."),
    ConfigurationKey(
      "patterns.directory", environment: "PARALLAX_PATTERNS_DIR", \.patterns.directory, .line, isReloadable: true,
      "The folder of pattern files; by default ./patterns if it exists. Its files are read again at a reload."),
    ConfigurationKey(
      "logging.level", environment: "PARALLAX_LOG_LEVEL", \.logging.level, .choice, isReloadable: true,
      "The least severe level that is logged."),
    ConfigurationKey(
      "logging.format", environment: "PARALLAX_LOG_FORMAT", \.logging.format, .choice,
      "The format of a log line; by default text on a terminal, else json."),
    ConfigurationKey(
      "logging.accessLog", environment: "PARALLAX_ACCESS_LOG", \.logging.accessLog, .choice, isReloadable: true,
      "The HTTP requests that are logged at the level info: off; failed, which are those answered with 400 or more; or all. Probes are not."
    ),
    ConfigurationKey(
      "logging.accessSample", \.logging.accessSample, .number(1...1_000_000), isReloadable: true,
      "With accessLog all: one of this many requests that have not failed is logged."),
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

extension ValueType<String> {
  fileprivate static let claim = text("1 to 64 visible ASCII characters without quotes") {
    (1...64).contains($0.utf8.count) && $0.utf8.allSatisfy { (0x21...0x7E).contains($0) && !"\"'\\".utf8.contains($0) }
  }
}

extension ValueType<[TokenAlgorithm]> {
  fileprivate static let algorithms = choices("signature algorithms, of \(TokenAlgorithm.allCases.map(\.rawValue).joined(separator: ", "))")
}

extension ValueType<[String]> {
  fileprivate static let hosts = list("host names or IP addresses without ports, such as parallax.example.org") { name in
    ValueType<String>.isHost(name) && !(name.contains(":") && name.utf8.count { $0 == UInt8(ascii: ":") } == 1)
  }

  fileprivate static let networks = list("IP addresses or networks, such as 10.0.0.0/8") { IPNetwork($0) != nil }

  /// A comma separates the elements of a text, so none may contain one.
  fileprivate static let audiences = list("1 to 16 audiences, each a text of 1 to 256 visible characters without commas") { audience in
    (1...256).contains(audience.utf8.count)
      && !audience.unicodeScalars.contains { $0 == "," || $0.properties.isWhitespace || $0.properties.generalCategory == .control }
  }

  fileprivate static let origins = list("origins, such as https://example.org, or *") { origin in
    guard origin != "*" else { return true }
    guard let scheme = ["https://", "http://"].first(where: { origin.hasPrefix($0) }) else { return false }
    let host = origin.dropFirst(scheme.count)
    return !host.isEmpty && host.utf8.allSatisfy { (0x21...0x7E).contains($0) && !"/?#@\\\"'".utf8.contains($0) }
  }
}
