import ParallaxControlPlane
import Testing

@Suite struct ConfigurationRelationTests {
  @Test func `High availability needs a Redis`() {
    #expect(
      faults("\nhighAvailability: { enabled: true }") == [
        """
        conf/node.yaml:2: highAvailability.enabled: high availability needs a Redis that all nodes share; set redis.url, \
        redis.sentinel.nodes or redis.cluster.nodes
        """
      ])
    #expect(faults("highAvailability: { enabled: true }", environment: ["PARALLAX_REDIS_URL": "redis://r"]).isEmpty)
  }

  @Test(arguments: [("15s", 10_000, 2_000), ("30s", 20_000, 4_000), ("3s", 2_000, 400), ("1s", 666, 133), ("500ms", 333, 66)])
  func `With only the lease set the other durations keep their proportions`(lease: String, renewDeadline: Int, retryPeriod: Int) throws {
    let election = try load(environment: ["PARALLAX_HA_LEASE_DURATION": lease]).highAvailability.leaderElection
    #expect(election.renewDeadline == .milliseconds(renewDeadline))
    #expect(election.retryPeriod == .milliseconds(retryPeriod))
    #expect(election.bootstrapWait == election.leaseDuration)
  }

  @Test func `With another duration set the defaults stay`() throws {
    let election = try load("highAvailability: { leaderElection: { leaseDuration: 20s, retryPeriod: 1s } }").highAvailability.leaderElection
    #expect(election.renewDeadline == .seconds(10))
    #expect(election.retryPeriod == .seconds(1))
    #expect(election.bootstrapWait == .seconds(20))
  }

  @Test func `A lease too short for the renew deadline is refused with both values`() {
    let found = faults("highAvailability:\n  leaderElection:\n    leaseDuration: 15s\n    renewDeadline: 13s\n")
    #expect(found.count == 1)
    #expect(
      found.first?.hasPrefix(
        "conf/node.yaml:3: highAvailability.leaderElection.leaseDuration: leaseDuration (15s) must be more than 1.11 times") == true)
    #expect(found.first?.contains("(14s500ms)") == true)
    #expect(faults("highAvailability: { leaderElection: { leaseDuration: 15s, renewDeadline: 12s } }").isEmpty)
  }

  @Test func `A renew deadline that one hung call could miss is refused`() {
    let found = faults("highAvailability: { leaderElection: { retryPeriod: 7s } }")
    #expect(found.count == 1)
    #expect(
      found.first?.hasPrefix("conf/node.yaml:1: highAvailability.leaderElection.retryPeriod: renewDeadline (10s) must be longer than")
        == true)
    #expect(found.first?.hasSuffix("two round trips (100ms), together 11s") == true)
    #expect(faults("highAvailability: { leaderElection: { retryPeriod: 6s } }").isEmpty)
  }

  @Test func `A relation between invalid values is not checked`() {
    #expect(faults("highAvailability: { leaderElection: { leaseDuration: 1s, renewDeadline: never } }").count == 1)
  }

  @Test func `The fault of a relation has the location of the value in force`() {
    let found = faults("agents: { heartbeatTimeout: 20s }", environment: [:])
    #expect(found.isEmpty)
    #expect(
      faults("agents:\n  heartbeatInterval: 90s\n") == [
        "conf/node.yaml:2: agents.heartbeatInterval: heartbeatTimeout (1m30s) must be longer than heartbeatInterval (1m30s)"
      ])
  }

  @Test func `The removal of members must take longer than their detection`() {
    let found = faults("highAvailability: { memberHealth: { removeAfter: 15s } }")
    #expect(found.count == 1)
    #expect(found.first?.hasSuffix("removeAfter (15s) must be longer than checkInterval × unhealthyThreshold (15s)") == true)
  }

  @Test func `A user needs a password from any source`() {
    #expect(faults("redis: { username: u }").count == 1)
    #expect(faults("redis: { username: u }", environment: ["PARALLAX_REDIS_PASSWORD": "p"]).isEmpty)
    #expect(faults("redis: { username: u, url: \"redis://:p@r\" }").isEmpty)
  }
}

@Suite struct ConfigurationReferenceTests {
  @Test func `A variable is replaced by its value, also inside a text`() throws {
    let configuration = try load(
      "redis: { url: \"redis://${HOST}:${PORT}\", keyPrefix: \"p-$${X}\" }".replacing("p-$${X}", with: "p$$:"),
      environment: ["HOST": "r", "PORT": "7000"])
    #expect(configuration.redis.url == RedisURL("redis://r:7000"))
    #expect(configuration.redis.keyPrefix == "p$$:")
  }

  @Test func `Two dollars before a brace stand for one`() throws {
    #expect(try load("redis: { password: \"a$${B}c\" }").redis.password == "a${B}c")
  }

  @Test func `The value of a variable is not expanded again`() throws {
    #expect(try load("redis: { password: \"${A}\" }", environment: ["A": "${A}"]).redis.password == "${A}")
  }

  @Test func `A file reference stands for the file's text without the line break at its end`() throws {
    let files = ["/run/secret": "hunter2\n", "conf/secrets/pw": "hunter3\r\n"]
    #expect(try load("redis: { password: file:/run/secret }", files: files).redis.password == "hunter2")
    #expect(try load("redis: { password: file:secrets/pw }", files: files).redis.password == "hunter3")
    #expect(try load(environment: ["PARALLAX_REDIS_PASSWORD": "file:/run/secret"], files: files).redis.password == "hunter2")
  }

  @Test(
    arguments: [
      ("${NONE}", "refers to the environment variable \"NONE\", which is not set"), ("${NONE", "expected } after ${, or $${ for ${ itself"),
      ("file:/none", "the file \"/none\" cannot be read"), ("file:", "expected a path after file:"),
    ])
  func `A reference without a target is refused`(value: String, problem: String) {
    #expect(faults("\nredis: { password: \"\(value)\" }") == ["conf/node.yaml:2: redis.password: \(problem)"])
  }
}
