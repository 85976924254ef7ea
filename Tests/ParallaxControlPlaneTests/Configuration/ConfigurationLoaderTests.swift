import ParallaxAPI
import ParallaxControlPlane
import Testing

/// Loads `yaml` as `node.yaml` on a host named `host-1`.
func load(
  _ yaml: String? = nil, environment: [String: String] = [:], flags: [ConfigurationFlag] = [], host: String = "host-1",
  files: [String: String] = [:]
) throws(ConfigurationError) -> NodeConfiguration {
  struct NoSuchFile: Error {}
  let file = yaml.map { ConfigurationFile(path: "conf/node.yaml", text: $0) }
  return try ConfigurationLoader(file: file, environment: environment, flags: flags, hostName: host) { path in
    guard let text = files[path] else { throw NoSuchFile() }
    return text
  }.load()
}

/// The faults of a load, one line each.
func faults(
  _ yaml: String? = nil, environment: [String: String] = [:], flags: [ConfigurationFlag] = [], host: String = "host-1",
  files: [String: String] = [:]
) -> [String] {
  do {
    _ = try load(yaml, environment: environment, flags: flags, host: host, files: files)
    return []
  } catch {
    return error.faults.map(\.description)
  }
}

@Suite struct ConfigurationLoaderTests {
  @Test func `Without anything set the defaults are in force`() throws {
    #expect(try load() == NodeConfiguration(nodeID: "host-1"))
    let defaults = try load()
    #expect(defaults.server.host == "127.0.0.1")
    #expect(defaults.server.port == 8_080)
    #expect(defaults.redis.url == nil)
    #expect(defaults.redis.keyPrefix == "parallax:")
    #expect(defaults.agents.maxMessageSize == 1_048_576)
    #expect(defaults.highAvailability.leaderElection.bootstrapWait == .seconds(15))
  }

  @Test(arguments: ["", "# nothing\n", "---\n", "~\n", "server:\n", "server: {}\n"])
  func `A file without values changes nothing`(yaml: String) throws {
    #expect(try load(yaml) == NodeConfiguration(nodeID: "host-1"))
  }

  @Test func `Every key of a file is read`() throws {
    let configuration = try load(
      """
      node: { id: node-1, address: "10.0.0.1:8080" }
      server:
        host: 0.0.0.0
        port: 0
        drainTimeout: 1m30s
        drainDelay: 5s
        hosts: [parallax.example.org, "::1"]
        maxConnections: 500
        trustedProxies: [10.0.0.0/8, "::1"]
        allowedOrigins: ["https://example.org", "http://localhost:3000"]
      highAvailability:
        enabled: true
        clusterId: production
        leaderElection:
          enabled: false
          leaseDuration: 30s
          renewDeadline: 18s
          retryPeriod: 3s
          priority: -5
          reclaimOnRestart: true
          bootstrapWait: 0s
          onStuckDuty: exit
        memberHealth: { checkInterval: 500ms, timeout: 250ms, unhealthyThreshold: 4, removeAfter: 1h }
        stateSync: { batchSize: 64 }
        witness: off
      redis:
        url: redis://user:s%2Fecret@redis-1:6380/3
        username: other
        password: "hunter2"
        keyPrefix: "test:"
        connectTimeout: 100ms
        commandTimeout: 1s
        requireReplicas: 1
      security:
        authentication:
          apiKeys:
            - { name: ci, hash: "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", scopes: [execute] }
            - name: agents
              key: 0123456789-0123456789
              scopes: agent, read
        protectStatus: true
      agents: { heartbeatInterval: 1s, heartbeatTimeout: 3s, resumeGrace: 0s, maxMessageSize: 8MiB, maxMessagesPerSecond: 7, compressFrom: 2KiB }
      executions: { retention: 1d, maxRetained: 10, defaultTimeout: 90000ms, agentWait: 0s }
      limits: { requestBody: 1024, requestsPerMinute: 600 }
      patterns: { directory: ./my-patterns }
      logging: { level: debug, format: json }
      """)
    var expected = NodeConfiguration(nodeID: "node-1")
    expected.node.address = "10.0.0.1:8080"
    expected.server.host = "0.0.0.0"
    expected.server.port = 0
    expected.server.drainTimeout = .seconds(90)
    expected.server.drainDelay = .seconds(5)
    expected.server.hosts = ["parallax.example.org", "::1"]
    expected.server.maxConnections = 500
    expected.server.trustedProxies = ["10.0.0.0/8", "::1"]
    expected.server.allowedOrigins = ["https://example.org", "http://localhost:3000"]
    expected.highAvailability.enabled = true
    expected.highAvailability.clusterID = "production"
    expected.highAvailability.leaderElection.enabled = false
    expected.highAvailability.leaderElection.leaseDuration = .seconds(30)
    expected.highAvailability.leaderElection.renewDeadline = .seconds(18)
    expected.highAvailability.leaderElection.retryPeriod = .seconds(3)
    expected.highAvailability.leaderElection.priority = -5
    expected.highAvailability.leaderElection.reclaimOnRestart = true
    expected.highAvailability.leaderElection.bootstrapWait = .zero
    expected.highAvailability.leaderElection.onStuckDuty = .exit
    expected.highAvailability.memberHealth.checkInterval = .milliseconds(500)
    expected.highAvailability.memberHealth.timeout = .milliseconds(250)
    expected.highAvailability.memberHealth.unhealthyThreshold = 4
    expected.highAvailability.memberHealth.removeAfter = .seconds(3_600)
    expected.highAvailability.stateSync.batchSize = 64
    expected.highAvailability.witness = .off
    expected.redis.url = RedisURL("redis://user:s%2Fecret@redis-1:6380/3")
    expected.redis.username = "other"
    expected.redis.password = "hunter2"
    expected.redis.keyPrefix = "test:"
    expected.redis.connectTimeout = .milliseconds(100)
    expected.redis.commandTimeout = .seconds(1)
    expected.redis.requireReplicas = 1
    expected.security.authentication.apiKeys = try [
      #require(
        APIKey(name: "ci", hash: "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", scopes: [.execute])),
      #require(APIKey(name: "agents", key: "0123456789-0123456789", scopes: [.agent, .read])),
    ]
    expected.security.protectStatus = true
    expected.agents.heartbeatInterval = .seconds(1)
    expected.agents.heartbeatTimeout = .seconds(3)
    expected.agents.resumeGrace = .zero
    expected.agents.maxMessageSize = 8 << 20
    expected.agents.maxMessagesPerSecond = 7
    expected.agents.compressFrom = 2_048
    expected.executions.retention = .seconds(86_400)
    expected.executions.maxRetained = 10
    expected.executions.defaultTimeout = .seconds(90)
    expected.executions.agentWait = .zero
    expected.limits.requestBody = 1_024
    expected.limits.requestsPerMinute = 600
    expected.patterns.directory = "./my-patterns"
    expected.logging.level = .debug
    expected.logging.format = .json
    #expect(configuration == expected)
  }

  @Test func `A limit that is off is read as none`() throws {
    #expect(try load("limits: { requestsPerMinute: off }").limits.requestsPerMinute == nil)
    // What Helm makes of `off`.
    #expect(try load("limits: { requestsPerMinute: false }").limits.requestsPerMinute == nil)
    for off in ["off", "false"] { #expect(try load("agents: { compressFrom: \(off) }").agents.compressFrom == nil) }
  }

  @Test func `A witness that is off is read as off, also from Helm`() throws {
    #expect(try load("{}").highAvailability.witness == .auto)
    #expect(try load("highAvailability: { witness: auto }").highAvailability.witness == .auto)
    #expect(try load("highAvailability: { witness: false }").highAvailability.witness == .off)
    #expect(throws: ConfigurationError.self) { try load("highAvailability: { witness: true }") }
    #expect(try load("highAvailability: { witness: off }").render().contains("witness: off"))
  }

  @Test func `Every documented environment variable is read`() throws {
    let configuration = try load(environment: [
      "PARALLAX_NODE_ID": "node-2", "PARALLAX_NODE_ADDRESS": "node-2.example.org:80", "PARALLAX_HOST": "::1", "PARALLAX_PORT": "9000",
      "PARALLAX_DRAIN_TIMEOUT": "1s", "PARALLAX_DRAIN_DELAY": "2s", "PARALLAX_HA_ENABLED": "true", "PARALLAX_HA_CLUSTER_ID": "c",
      "PARALLAX_HA_LEASE_DURATION": "3s", "PARALLAX_HA_RENEW_DEADLINE": "2s", "PARALLAX_HA_RETRY_PERIOD": "400ms",
      "PARALLAX_HA_CHECK_INTERVAL": "1s", "PARALLAX_HA_CHECK_TIMEOUT": "500ms", "PARALLAX_HA_UNHEALTHY_THRESHOLD": "5",
      "PARALLAX_HA_SYNC_BATCH_SIZE": "7", "PARALLAX_HA_WITNESS": "off", "PARALLAX_REDIS_URL": "rediss://r", "PARALLAX_REDIS_PASSWORD": "pw",
      "PARALLAX_PATTERNS_DIR": "/p", "PARALLAX_LOG_LEVEL": "error", "PARALLAX_LOG_FORMAT": "text",
      "PARALLAX_API_KEYS": "0123456789-0123456789",
    ])
    #expect(configuration.security.authentication.apiKeys.map(\.name) == ["key-1"])
    #expect(configuration.node.id == "node-2" && configuration.node.address == "node-2.example.org:80")
    #expect(configuration.server.host == "::1" && configuration.server.port == 9_000)
    #expect(configuration.server.drainTimeout == .seconds(1) && configuration.server.drainDelay == .seconds(2))
    #expect(configuration.highAvailability.enabled && configuration.highAvailability.clusterID == "c")
    #expect(configuration.highAvailability.witness == .off)
    let election = configuration.highAvailability.leaderElection
    #expect(election.leaseDuration == .seconds(3) && election.renewDeadline == .seconds(2) && election.retryPeriod == .milliseconds(400))
    let health = configuration.highAvailability.memberHealth
    #expect(health.checkInterval == .seconds(1) && health.timeout == .milliseconds(500) && health.unhealthyThreshold == 5)
    #expect(configuration.highAvailability.stateSync.batchSize == 7)
    #expect(configuration.redis.url == RedisURL("rediss://r") && configuration.redis.password == "pw")
    #expect(configuration.patterns.directory == "/p" && configuration.logging.level == .error && configuration.logging.format == .text)
  }

  @Test func `Flags win over the environment, the environment over the file`() throws {
    let yaml = "server: { host: a, port: 1, drainDelay: 1s }"
    let environment = ["PARALLAX_HOST": "b", "PARALLAX_PORT": "2"]
    let configuration = try load(yaml, environment: environment, flags: [ConfigurationFlag("--port", key: "server.port", value: "3")])
    #expect(configuration.server.drainDelay == .seconds(1))
    #expect(configuration.server.host == "b")
    #expect(configuration.server.port == 3)
  }

  @Test func `An empty environment variable counts as unset`() throws {
    #expect(try load("server: { port: 1 }", environment: ["PARALLAX_PORT": "", "PARALLAX_API_KEYS": ""]).server.port == 1)
  }
}

@Suite struct ConfigurationFaultTests {
  @Test func `All faults are reported at once, each with its location`() {
    let yaml = """
      server:
        prot: 9000
        drainTimeout: soon
      reddis:
        url: x
      logging:
        level: [debug]
      """
    #expect(
      faults(
        yaml, environment: ["PARALLAX_PORT": "eighty"], flags: [ConfigurationFlag("--log-format", key: "logging.format", value: "xml")])
        == [
          "conf/node.yaml:2: server.prot: unknown key; did you mean server.port?",
          "conf/node.yaml:3: server.drainTimeout: found \"soon\", expected a duration from 0s to 1h, such as 15s, 500ms or 1m30s",
          "conf/node.yaml:4: reddis: unknown key; did you mean redis?",
          "conf/node.yaml:7: logging.level: found [\"debug\"], expected one of trace, debug, info, notice, warning, error, critical",
          "environment variable PARALLAX_PORT: server.port: found \"eighty\", expected a whole number from 0 to 65535",
          "flag --log-format: logging.format: found \"xml\", expected one of text, json",
        ])
  }

  @Test func `An invalid value is refused even if a flag overrides it`() {
    let flags = [ConfigurationFlag("--port", key: "server.port", value: "3")]
    #expect(
      faults("server: { port: 70000 }", flags: flags) == [
        "conf/node.yaml:1: server.port: found \"70000\", expected a whole number from 0 to 65535"
      ])
  }

  @Test func `A word that resembles no key gets no suggestion`() {
    #expect(faults("server: { color: 1 }") == ["conf/node.yaml:1: server.color: unknown key"])
  }

  @Test(
    arguments: [
      (
        "server: 8080",
        "server: found a single value, expected a section with allowedOrigins, drainDelay, drainTimeout, host, hosts, maxConnections, port, tls, "
          + "trustedProxies"
      ),
      ("server: { port: }", "server.port: found nothing, expected a whole number from 0 to 65535"),
      ("server: { port: { a: 1 } }", "server.port: found a section, expected a whole number from 0 to 65535"),
      ("server: { port: 80.5 }", "server.port: found \"80.5\", expected a whole number from 0 to 65535"),
      ("server: { host: \"a b\" }", "server.host: found \"a b\", expected a host name or an IP address"),
      (
        "server: { allowedOrigins: [\"https://a/b\"] }",
        "server.allowedOrigins: found [\"https://a/b\"], expected a list of origins, such as https://example.org, or *"
      ),
      (
        "server: { hosts: [\"a:80\"] }",
        "server.hosts: found [\"a:80\"], expected a list of host names or IP addresses without ports, such as parallax.example.org"
      ),
      (
        "server: { trustedProxies: [10.0.0.0/33] }",
        "server.trustedProxies: found [\"10.0.0.0/33\"], expected a list of IP addresses or networks, such as 10.0.0.0/8"
      ),
      (
        "server: { allowedOrigins: [{a: 1}] }",
        "server.allowedOrigins: found a list of sections, expected a list of origins, such as https://example.org, or *"
      ),
      ("node: { id: \"a b\" }", "node.id: found \"a b\", expected 1 to 128 letters, digits, '-', '_' or '.'"),
      ("node: { address: somewhere }", "node.address: found \"somewhere\", expected host:port by which other nodes reach this one"),
      ("highAvailability: { enabled: yes }", "highAvailability.enabled: found \"yes\", expected true or false"),
      ("redis: { keyPrefix: \"{a}:\" }", "redis.keyPrefix: found \"{a}:\", expected 1 to 64 visible ASCII characters without '{' and '}'"),
      ("limits: { requestBody: 1GB }", "limits.requestBody: found \"1GB\", expected a size from 1KiB to 256MiB, such as 8MiB"),
      (
        "limits: { requestsPerMinute: 0 }", "limits.requestsPerMinute: found \"0\", expected a whole number from 1 to 1000000, or off"
      ),
      ("agents: { maxMessageSize: 1GiB }", "agents.maxMessageSize: found \"1GiB\", expected a size from 1KiB to 256MiB, such as 8MiB"),
      ("agents: { compressFrom: on }", "agents.compressFrom: found \"on\", expected a size from 64B to 256MiB, or off, such as 4KiB"),
      (
        "patterns: { directory: \"a\\u001b[2Jb\" }",
        "patterns.directory: found \"a\\u{1B}[2Jb\", expected a text of 1 to 4096 characters without line breaks"
      ),
    ])
  func `A value of the wrong type or out of bounds is refused with the expectation`(yaml: String, fault: String) {
    #expect(faults(yaml) == ["conf/node.yaml:1: " + fault])
  }

  @Test(arguments: ["- a\n- b\n", "just text\n"])
  func `A file without sections is refused`(yaml: String) {
    #expect(faults(yaml).count == 1)
    #expect(faults(yaml).first?.hasPrefix("conf/node.yaml:1: found a ") == true)
  }

  @Test(
    arguments: [
      ("server:\n  port: 1\n  port: 2\n", "server.port"), ("server: {}\nserver: {}\n", "server"),
      ("server: {\"port\": 1, port: 2}", "server.port"),
      ("server: {!x port: 1, port: 2}", "server.port"),
    ])
  func `A duplicate key is refused`(yaml: String, key: String) {
    let found = faults(yaml)
    #expect(found.count == 1)
    #expect(found.first?.hasSuffix("\(key.split(separator: ".").last ?? ""): given a second time") == true)
  }

  @Test(
    arguments: [
      ("server:\n  port: 1\n  host: a\n\n  # again\n  port: 2\n", 6),
      ("server: {}\nredis:\n  password: x\nserver:\n  port: 1\n", 4),
      ("server:\n  port: 1\nnode:\n  id: a\n  'id': b\n", 5),
      ("server: {\n  port: 1,\n  host: a,\n  port: 2 }\n", 4),
      (
        "security:\n  authentication:\n    apiKeys:\n      - name: a\n        scopes: [read]\n      - name: b\n        hash: x\n        hash: y\n",
        8
      ),
    ])
  func `A duplicate key is reported at the line of the duplicate`(yaml: String, line: Int) {
    #expect(faults(yaml).map { $0.prefix { $0 != " " } } == ["conf/node.yaml:\(line):"])
  }

  @Test(arguments: [
    ("PARALLAX_PROT", "PARALLAX_PORT"), ("PARALLAX_NODEID", "PARALLAX_NODE_ID"), ("PARALLAX_REDIS_ULR", "PARALLAX_REDIS_URL"),
  ])
  func `A misspelled variable is refused with the name that was meant`(name: String, meant: String) {
    let found = faults(environment: [name: "1"])
    #expect(found.count == 1)
    #expect(found.first?.hasPrefix("environment variable \(name): unknown; did you mean \(meant)?") == true, "\(found)")
    #expect(faults("redis: { password: \"${\(name)}\" }", environment: [name: "1"]) == [], "the file refers to it")
    #expect(faults(environment: [name: ""]) == [], "empty variables count as unset")
  }

  @Test func `Variables of other programs and of Kubernetes stop no node`() {
    let names = [
      "PARALLAX_SERVER", "PARALLAX_API_KEY", "PARALLAX_CA", "PARALLAX_CONFIG", "PARALLAX_STRICT", "PARALLAX_TEST_REDIS_SERVER",
      "PARALLAX_REDIS_SERVICE_HOST", "PARALLAX_REDIS_SERVICE_PORT", "PARALLAX_REDIS_SERVICE_PORT_REDIS", "PARALLAX_REDIS_PORT",
      "PARALLAX_REDIS_PORT_6379_TCP", "PARALLAX_REDIS_PORT_6379_TCP_ADDR", "PARALLAX_SERVICE_HOST", "PARALLAX_PORT_8080_TCP_PROTO",
      "PARALLAX_HOME", "PARALLAX_WHATEVER", "PARALLAX_NODE_IP", "PARALLAX_NODE_UID", "PARALLAX_PORT_2", "PARALLAX_REDIS_URL2",
    ]
    #expect(faults(environment: Dictionary(uniqueKeysWithValues: names.map { ($0, "1") })) == [])
    #expect(faults(environment: ["PARALLAX_HOSTS": "x", "PARALLAX_HOST": "127.0.0.1"]) == [], "a name beside the one that it resembles")
  }

  @Test(arguments: [
    "server: { tls: { privateKey: \"-----BEGIN EC PRIVATE KEY-----\\nMHcCAQEEIsecret\" } }",
    "redis: { cluster: { nodes: [\"redis://:secret@h:6379\"] } }", "node: { id: \"u:secret@h\" }",
    "redis: { sentinel: { masterName: m, nodes: [\"h:1\", \"redis://:secret@h:26379\"] } }",
  ])
  func `A fault does not show what may be a secret in the wrong place`(yaml: String) {
    let found = faults(yaml)
    #expect(!found.isEmpty && !found.contains { $0.contains("secret") }, "\(found)")
  }

  @Test(arguments: ["server: [", "server: {a: b", "a: b: c", "\t- a", "server: \"x", "a: *b", "%", "server:\n port: 1\n  host: a"])
  func `A syntax error is reported with its line and without the text`(yaml: String) {
    let found = faults(yaml + "\n")
    #expect(found.count == 1)
    #expect(found.first?.contains(#/^conf/node\.yaml:[0-9]+: not valid YAML: /#) == true, "\(found)")
  }

  @Test func `The host name of a node without an id must be a valid id`() {
    #expect(faults(host: "bad host") == ["host name: node.id: found \"bad host\", expected 1 to 128 letters, digits, '-', '_' or '.'"])
    #expect(faults(environment: ["PARALLAX_NODE_ID": "n"], host: "bad host").isEmpty)
  }

  @Test func `Of many faults only the first are listed`() {
    let yaml = (1...150).map { "key-\($0): 1\n" }.joined()
    let error = #expect(throws: ConfigurationError.self) { try load(yaml) }
    #expect(error?.faults.count == 150)
    #expect(error?.description.split(separator: "\n").count == 101)
    #expect(error?.description.hasSuffix("conf/node.yaml:100: key-100: unknown key\nand 50 more") == true)
  }

  @Test func `A key with control characters is written on one line`() {
    #expect(faults("\"a\\nb\": 1") == ["conf/node.yaml:1: a\\nb: unknown key"])
  }

  @Test func `A long value is truncated in an error`() {
    let found = faults("server: { port: \(String(repeating: "9", count: 500)) }")
    #expect(
      found == ["conf/node.yaml:1: server.port: found \"\(String(repeating: "9", count: 80))…\", expected a whole number from 0 to 65535"])
  }

  @Test(
    arguments: [
      "redis: { password: \"hunter2\\n\" }", "redis: { password: [hunter2] }", "redis: { url: \"http://:hunter2@r\" }",
      "redis: { url: \"redis://:hunter2\" }", "redis: { url: [\"redis://:hunter2\"] }",
    ])
  func `A refused secret is not shown`(yaml: String) {
    let found = faults(yaml)
    #expect(found.count == 1)
    #expect(found.first?.contains("hunter2") == false)
  }

  @Test func `A referenced secret is not shown when another key refuses it`() {
    let found = faults("server: { port: \"${SECRET}\" }", environment: ["SECRET": "hunter2"])
    #expect(found == ["conf/node.yaml:1: server.port: found \"${SECRET}\", expected a whole number from 0 to 65535"])
  }
}
