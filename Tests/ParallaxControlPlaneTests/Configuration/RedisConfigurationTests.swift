import ParallaxControlPlane
import ParallaxRedis
import Testing

/// The choice of the Redis deployment by `redis.*`.
@Suite struct RedisConfigurationTests {
  @Test func `The nodes of a cluster come as a list or with commas between them`() throws {
    let file = try load("redis: { cluster: { nodes: [a, \"b:7001\", \"[::1]:7002\"] } }").redis
    #expect(file.cluster.nodes == [.host("a", port: 6_379), .host("b", port: 7_001), .host("::1", port: 7_002)])
    #expect(file.endpoints == file.cluster.nodes)
    #expect(file.isConfigured)
    let environment = try load(environment: ["PARALLAX_REDIS_CLUSTER_NODES": "a:1, b:2"]).redis
    #expect(environment.cluster.nodes == [.host("a", port: 1), .host("b", port: 2)])
  }

  @Test func `With cluster nodes the URL has only the credentials`() throws {
    let redis = try load("redis: { url: \"rediss://u:p@elsewhere\", cluster: { nodes: [a] } }").redis
    #expect(redis.endpoints == [.host("a", port: 6_379)])
    #expect(redis.usesTLS)
    #expect(redis.url?.username == "u")
    #expect(redis.summary == "Redis Cluster over TLS at a:6379")
  }

  @Test func `Sentinels have a port, a user and a password of their own`() throws {
    let redis = try load(
      "redis: { sentinel: { masterName: mymaster, nodes: [a, \"b:5000\"], username: watcher, password: secret } }"
    ).redis
    #expect(redis.sentinel.nodes == [.host("a", port: 26_379), .host("b", port: 5_000)])
    #expect(redis.sentinel.username == "watcher")
    #expect(redis.sentinel.password == "secret")
    #expect(redis.summary == "the Redis master mymaster that the sentinels at a:26379, b:5000 name")
    #expect(!redis.usesTLS)
  }

  @Test func `Neither a description nor a dump of a configuration shows a secret`() throws {
    let key = "hidden-key-of-the-reader-0123456789"
    let configuration = try load(
      """
      redis:
        url: "redis://u:hidden-1@h"
        password: hidden-2
        sentinel: { masterName: m, nodes: [a], password: hidden-3 }
      security: { authentication: { apiKeys: [{ name: reader, key: "\(key)", scopes: [read] }] } }
      """)
    let hash = try #require(configuration.security.authentication.apiKeys.first).hash
    var shown = "\(configuration) \(String(reflecting: configuration))"
    dump(configuration, to: &shown)
    #expect(shown.contains("reader") && shown.contains("***"))
    #expect(!shown.contains("hidden") && !shown.contains(hash.dropFirst("sha256:".count)))
  }

  @Test func `The rendered configuration loads to the same values, except for the sentinels' password`() throws {
    let text = "redis: { sentinel: { masterName: m, nodes: [a], username: w, password: hidden }, tls: { ca: /ca.pem } }"
    let configuration = try load(text)
    #expect(try load(configuration.render(secretsHidden: false)) == configuration)
    #expect(!configuration.render().contains("hidden"))
  }

  @Test(
    arguments: [
      ("redis: { cluster: { nodes: [] } }", "expected a list of servers"),
      ("redis: { cluster: { nodes: [\"a:0\"] } }", "redis.cluster.nodes: found"),
      ("redis: { cluster: { nodes: [a] }, sentinel: { masterName: m, nodes: [b] } }", "set either redis.sentinel.nodes or redis.cluster"),
      ("redis: { sentinel: { masterName: m } }", "set redis.sentinel.nodes"),
      ("redis: { sentinel: { nodes: [a] } }", "set redis.sentinel.masterName"),
      ("redis: { sentinel: { masterName: m, nodes: [a], username: u } }", "set redis.sentinel.password"),
      ("redis: { url: \"redis://h\", password: p, passwordFile: /f }", "set either redis.password or redis.passwordFile"),
      ("redis: { url: \"redis://h\", username: u, usernameFile: /f, password: p }", "set either redis.username or redis.usernameFile"),
      ("redis: { url: \"redis://h\", usernameFile: /f }", "set redis.passwordFile"),
      ("redis: { url: \"rediss://h\", tls: { certificate: c } }", "set both redis.tls.certificate and redis.tls.privateKey"),
      ("redis: { url: \"redis://h\", tls: { ca: c } }", "begin redis.url with rediss://"),
    ])
  func `Contradictory settings are refused with a correction`(text: String, explanation: String) {
    let found = faults(text)
    #expect(found.count == 1)
    #expect(found.first?.contains(explanation) == true, "\(found)")
  }
}
