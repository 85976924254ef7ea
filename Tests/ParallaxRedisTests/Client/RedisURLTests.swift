import Testing

@testable import ParallaxRedis

@Suite("Redis URLs")
struct RedisURLTests {
  private struct Parts: Equatable {
    var endpoint: String
    var username: String?
    var password: String?
    var database = 0
    var hasTLS = false
  }

  private static func parts(_ url: String) throws -> Parts {
    let configuration = try RedisConfiguration(url: url)
    guard case .standalone(let endpoint) = configuration.deployment else { throw RedisError(.invalidConfiguration, message: url) }
    return Parts(
      endpoint: endpoint.description, username: configuration.username, password: configuration.password,
      database: configuration.database, hasTLS: configuration.tls != nil)
  }

  @Test("Each part is read")
  func valid() throws {
    #expect(try Self.parts("redis://localhost") == Parts(endpoint: "localhost:6379"))
    #expect(try Self.parts("redis://localhost/") == Parts(endpoint: "localhost:6379"))
    #expect(
      try Self.parts("REDIS://user:p%40ss%3a@10.0.0.1:7000/12")
        == Parts(endpoint: "10.0.0.1:7000", username: "user", password: "p@ss:", database: 12))
    #expect(try Self.parts("redis://:pass@h") == Parts(endpoint: "h:6379", password: "pass"))
    #expect(try Self.parts("redis://:p:a:s@h") == Parts(endpoint: "h:6379", password: "p:a:s"))
    #expect(try Self.parts("rediss://[::1]:6380/1") == Parts(endpoint: "[::1]:6380", database: 1, hasTLS: true))
    #expect(try Self.parts("unix:///run/redis.sock") == Parts(endpoint: "/run/redis.sock"))
    #expect(
      try Self.parts("unix://:secret@/run/redis%20a.sock?db=2")
        == Parts(endpoint: "/run/redis a.sock", password: "secret", database: 2))
  }

  @Test(
    "The error names the mistake without repeating the URL, which may have a password",
    arguments: [
      ("localhost:6379", "redis://"), ("http://h", "'http'"), ("redis://", "host"), ("redis://:6379", "host"),
      ("redis://secret@h", ":password"), ("redis://user:@h", "empty"), ("redis://h:0", "port"), ("redis://h:65536", "port"),
      ("redis://h:x", "port"), ("redis://h:", "port"), ("redis://h/one", "database"), ("redis://h/-1", "database"),
      ("redis://h/1/2", "database"), ("redis://u:%zz@h", "%25"), ("redis://u:%4@h", "%25"), ("redis://u:%ff@h", "UTF-8"),
      ("redis://[::1", "]"), ("redis://[::1]x", "]"), ("redis://h?db=1", "character"), ("unix://relative", "slash"),
      ("unix:///s?x=1", "db="),
    ])
  func invalid(url: String, hint: String) {
    let error = #expect(throws: RedisError.self) { try RedisConfiguration(url: url) }
    #expect(error?.code == .invalidConfiguration)
    #expect(error?.message.contains(hint) == true, "\(error?.message ?? "")")
    #expect(error?.message.contains("secret") == false)
  }

  @Test("Settings out of their bounds are named")
  func validation() {
    let changes: [(String, (inout RedisConfiguration) -> Void)] = [
      ("commandTimeout", { $0.commandTimeout = .zero }), ("connectTimeout", { $0.connectTimeout = .seconds(-1) }),
      ("backoff.maximum", { $0.backoff.maximum = .seconds(1_000_000) }), ("maximumCommandsInFlight", { $0.maximumCommandsInFlight = 0 }),
      ("port of h", { $0.deployment = .standalone(.host("h", port: 0)) }),
      ("port of b", { $0.deployment = .cluster(nodes: [.host("a", port: 1), .host("b", port: 65_536)]) }),
      ("port of s", { $0.deployment = .sentinel(.init(masterName: "m", sentinels: [.host("s", port: -1)])) }),
      ("database", { $0.database = -1 }), ("user", { $0.username = "u" }), ("clientName", { $0.clientName = "a b" }),
    ]
    for (name, change) in changes {
      var configuration = RedisConfiguration(host: "h")
      change(&configuration)
      let error = #expect(throws: RedisError.self) { try configuration.validate() }
      #expect(error?.message.contains(name) == true, "\(name)")
    }
  }

  @Test("A configuration shows no password, neither printed nor dumped")
  func secrets() throws {
    var sentinel = RedisConfiguration.Sentinel(masterName: "m", sentinels: [.host("s", port: 1)])
    sentinel.password = "hidden-sentinel"
    var configuration = RedisConfiguration(deployment: .sentinel(sentinel))
    configuration.username = "user"
    configuration.password = "hidden-server"
    #expect("\(configuration)" == "the master m of the sentinels s:1 as user, database 0")
    var dumped = ""
    dump(configuration, to: &dumped)
    dump(sentinel, to: &dumped)
    let credentials = RedisConfiguration.Credentials(username: "user", password: "hidden-login")
    dump(credentials, to: &dumped)
    #expect(!"\(credentials) \(String(reflecting: credentials))".contains("hidden"))
    #expect(!dumped.contains("hidden"))
    #expect(!"\(configuration) \(String(reflecting: configuration))".contains("hidden"))
  }
}
