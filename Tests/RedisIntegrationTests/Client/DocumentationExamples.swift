import Foundation
import Logging
import NIOCore
import NIOSSL
import ParallaxRedis
import ServiceLifecycle
import Synchronization
import TestSupport
import Testing
import UnixSignals

/// The code of the articles in Sources/ParallaxRedis/ParallaxRedis.docc: each test has the name of its article, and changes with it.
@Suite("Examples of the documentation", .timeLimit(.minutes(1)))
struct DocumentationExamples {
  private let logger = quietLogger

  // GettingStarted.md
  @Test("Getting started")
  func gettingStarted() async throws {
    try await RedisServer.with { server in
      let configuration = try RedisConfiguration(url: server.url)
      let client = try RedisClient(configuration: configuration, logger: logger)

      // Here the group ends with its worker.
      let worker = ServiceGroupConfiguration.ServiceConfiguration(
        service: Worker(redis: client), successTerminationBehavior: .gracefullyShutdownGroup)
      let services = ServiceGroup(
        configuration: .init(
          services: [.init(service: client), worker], gracefulShutdownSignals: [.sigterm], logger: logger))
      try await services.run()
      #expect(try server.command("GET", "visits").text == "2")
    }
  }

  // SingleServer.md
  @Test("A single server")
  func singleServer() async throws {
    var configuration = try RedisConfiguration(url: "rediss://worker:p%40ss@redis.example:6380/2")
    configuration.clientName = "billing"
    configuration.commandTimeout = .seconds(1)
    #expect(configuration.password == "p@ss" && configuration.database == 2)

    try await withServerAndClient { _, client in
      try await client.send(.ping())
      let status = client.status
      let isReady = status.isConnected || (status.disconnectedFor ?? .zero) < .seconds(10)
      #expect(isReady)
    }
  }

  // FollowingSentinel.md
  @Test("Sentinel", .timeLimit(.minutes(2)))
  func followingSentinel() async throws {
    try await RedisSentinelDeployment.with(.init(password: "password", sentinelPassword: "sentinels")) { deployment in
      let (sentinelPassword, password) = ("sentinels", "password")
      var sentinel = RedisConfiguration.Sentinel(
        masterName: deployment.masterName, sentinels: deployment.sentinelEndpoints.map { .host($0.host, port: $0.port) })
      sentinel.password = sentinelPassword

      var configuration = RedisConfiguration(deployment: .sentinel(sentinel))
      configuration.username = "default"
      configuration.password = password
      configuration.commandTimeout = .seconds(20)
      try await withClient(configuration) { redis in
        // Without WAIT the failover may lose the write, as FailureSemantics.md describes.
        let replicas = try await redis.withConnection { connection in
          try await connection.send(.set("k", "v"))
          return try await connection.send(.wait(replicas: 2, wait: .seconds(10)))
        }
        #expect(replicas == 2)
        try await deployment.failover()
        #expect(try await redis.send(.get("k", as: String.self)) == "v")
      }
    }
  }

  // RedisCluster.md
  @Test("Redis Cluster", .timeLimit(.minutes(2)))
  func redisCluster() async throws {
    try await RedisClusterDeployment.with(.init(replicasPerPrimary: 0)) { deployment in
      var configuration = RedisConfiguration(deployment: .cluster(nodes: deployment.endpoints.map { .host($0.host, port: $0.port) }))
      configuration.commandTimeout = .seconds(20)
      try await withClient(configuration) { client in
        try await client.send(.mset(["{user:7}:name": "Ada", "{user:7}:visits": 1]))
        let crossing = try await redisError { try await client.send(.mset(["a": 1, "b": 2])) }
        #expect(crossing?.serverCode == "CROSSSLOT")
        let keys = (0..<20).map { "key:\($0)" }
        for key in keys { try await client.send(.set(key, 1)) }
        #expect(try await client.send(.del(keys)) == 20)
      }
    }
  }

  // FailureSemantics.md
  @Test("Failure semantics")
  func failureSemantics() async throws {
    try await withServerAndClient { _, redis in
      do {
        try await redis.send(.set("visits", "many"))
        try await redis.send(.incr("visits"))
        Issue.record("INCR of a word succeeded")
      } catch let error as RedisError where error.mayHaveExecuted {
        Issue.record("\(error)")
      } catch let error as RedisError where [.serverError, .unexpectedReply].contains(error.code) {
        #expect(error.serverCode == "ERR")
      }

      let request = UUID()
      let command = RedisTypedCommand.evaluate(
        Self.addOnce, keys: ["{account:7}:balance", "{account:7}:request:\(request)"], arguments: [5, 86_400_000], as: Int.self)
      for _ in 0..<2 {
        let balance = try await redis.send(command.idempotent)
        #expect(balance == 5)
      }

      let replicas = try await redis.withConnection(forKey: "order:7") { connection in
        try await connection.send(.set("order:7", "paid"))
        return try await connection.send(.wait(replicas: 1, wait: .milliseconds(100)))
      }
      #expect(replicas == 0)
    }
  }

  private static let addOnce = RedisScript(
    """
    if redis.call('SET', KEYS[2], 1, 'NX', 'PX', ARGV[2]) then return redis.call('INCRBY', KEYS[1], ARGV[1]) end
    return redis.call('GET', KEYS[1])
    """)

  // Subscribing.md
  @Test("Subscribing")
  func subscribing() async throws {
    try await withServerAndClient { _, redis in
      let cache = Cache()
      for await event in redis.subscribe(to: ["prices"]) {
        switch event {
        case .subscribed, .gap:
          try await cache.reload(from: redis)
          try await redis.send(.publish("prices", "gold 2051"))
        case .message(_, let payload): cache.update(String(buffer: payload))
        case .refused(let error): throw error
        }
        if cache.lines == ["reloaded", "gold 2051"] { break }
      }
    }
  }

  // RunningScripts.md
  @Test("Running scripts")
  func runningScripts() async throws {
    try await withServerAndClient(scripts: [Self.countWithin]) { _, redis in
      let isGranted =
        try await redis.send(.evaluate(Self.countWithin, keys: ["calls:7"], arguments: [1, 60_000], as: Bool?.self)) ?? false
      #expect(isGranted)
      let reply = try await redis.evaluate(Self.countWithin, keys: ["calls:7"], arguments: [1, 60_000])
      #expect(reply.isNull)
    }
  }

  private static let countWithin = RedisScript(
    """
    local used = redis.call('INCR', KEYS[1])
    if used == 1 then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
    return used <= tonumber(ARGV[1])
    """)

  // PipeliningAndPerformance.md
  @Test("Pipelining and performance")
  func pipelining() async throws {
    try await withServerAndClient { _, redis in
      let (name, visits, tags) = try await redis.pipeline(
        .get("name", as: String.self), .incr("visits"), .smembers("tags", as: String.self))
      #expect(name == nil && visits == 1 && tags.isEmpty)

      let ids = [1, 2]
      let users = try await redis.pipeline(ids.map { .hgetall("user:\($0)", as: String.self) })
      #expect(users == [.success([:]), .success([:])])

      let results = try await redis.pipeline([RedisCommand("INCR", "a"), RedisCommand("INCR", "b")])
      #expect(results == [.success(.integer(1)), .success(.integer(1))])

      let replies = try await redis.pipeline([
        RedisCommand("MULTI"), RedisCommand("INCR", "orders"), RedisCommand("LPUSH", "queue", "order 7"), RedisCommand("EXEC"),
      ])
      let counts = try replies[3].get().array
      #expect(counts == [.integer(1), .integer(1)])

      let jobs = 0..<10
      @Sendable func handle(_ job: Int, _ redis: RedisClient) async { _ = try? await redis.send(.sadd("done", job)) }
      await withTaskExecutorPreference(redis.executor) {
        await withDiscardingTaskGroup { group in
          for job in jobs { group.addTask { await handle(job, redis) } }
        }
      }
      #expect(try await redis.send(.scard("done")) == 10)
    }
  }

  // LeasingConnections.md
  @Test("Leasing connections")
  func leasing() async throws {
    try await withServerAndClient { _, redis in
      try await redis.send(.rpush("jobs", "first"))
      let job = try await redis.withConnection(forKey: "jobs") { connection in
        try await connection.send(.blpop("jobs", wait: .seconds(5), as: String.self))
      }
      #expect(job?.value == "first")

      try await redis.send(.set("stock:7", 1))
      let isDone = try await redis.withConnection(forKey: "stock:7") { connection in
        _ = try await connection.send(RedisCommand("WATCH", "stock:7"))
        let stock = try await connection.send(.get("stock:7", as: Int.self)) ?? 0
        guard stock > 0 else { return false }
        let replies = try await connection.pipeline([RedisCommand("MULTI"), RedisCommand("DECR", "stock:7"), RedisCommand("EXEC")])
        return try replies[2].get().isNull == false
      }
      #expect(isDone)
    }
  }

  // TypedCommands.md
  @Test("Typed commands")
  func typedCommands() async throws {
    try await withServerAndClient { _, redis in
      let name = try await redis.send(.get("name", as: String.self))
      let age: Int? = try await redis.send(.hget("user:7", "age"))
      let isNew = try await redis.send(.hset("user:7", "age", 36))
      try await redis.send(.hset("job:7", ["status": "running", "attempts": 3]))
      let top = try await redis.send(.zrangeWithScores("scores", through: 9, reversed: true, as: String.self))
      #expect(name == nil && age == nil && isNew && top.isEmpty)

      try await redis.send(.set("order:7", Order(id: 7, total: 9.5)))
      let order = try await redis.send(.get("order:7", as: Order.self))
      #expect(order?.total == 9.5)

      try await redis.send(.set("name", "Ada"))
      let encoding = try await redis.send(RedisCommand("OBJECT", "ENCODING", "name").idempotent.returning(String.self))
      let reply = try await redis.send(RedisCommand("OBJECT", "ENCODING", "name"))
      #expect(reply.string == encoding)
      #expect(try await redis.send(.objectEncoding("name")) == encoding)

      var (found, cursor): (Set<String>, String?) = ([], nil)
      repeat {
        let page = try await redis.send(.scan(cursor, match: "order:*", count: 500))
        for key in page.keys { found.insert(key) }
        cursor = page.next
      } while cursor != nil
      #expect(found == ["order:7"])
    }
  }

  // SecuringConnections.md
  @Test("Securing connections")
  func securing() async throws {
    let certificates = try await TestCertificates()
    try await RedisServer.with(.init(password: "password", tls: .init(certificates, clientCertificates: .required))) { server in
      var configuration = try RedisConfiguration(url: server.url)
      var tls = TLSConfiguration.makeClientConfiguration()
      tls.trustRoots = .file(certificates.authority)
      tls.certificateChain = try NIOSSLCertificate.fromPEMFile(certificates.client.certificate).map { .certificate($0) }
      tls.privateKey = .privateKey(try NIOSSLPrivateKey(file: certificates.client.key, format: .pem))
      configuration.tls = tls
      try await withClient(configuration) { try await $0.send(.ping()) }

      configuration.tls?.trustRoots = .file(certificates.wrongAuthority)
      try await withClient(configuration) { client in
        try await eventually("the certificate is refused") { client.status.lastError?.message.contains("certificate") == true }
        let error = try await redisError { try await client.send(RedisCommand("PING").withTimeout(.milliseconds(100))) }
        #expect(error?.code == .connectionFailed)
      }
    }
  }

  // TestingWithRedis.md
  @Test("Testing with Redis")
  func testing() async throws {
    let redis = StubRedis { command in
      #expect(command.name == "GET")
      return .bulkString(ByteBuffer(string: "7"))
    }
    #expect(try await redis.send(.get("visits", as: Int.self)) == 7)

    try await RedisServer.with { server in
      let client = try RedisClient(configuration: RedisConfiguration(url: "unix://\(server.socketPath)"), logger: logger)
      try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask { try await client.run() }
        try await client.send(.set("key", "value"))
        group.cancelAll()
      }
    }
  }
}

private struct Worker: Service {
  let redis: RedisClient

  func run() async throws {
    try await redis.send(.set("greeting", "hello", expiry: .after(.seconds(60))))
    let greeting = try await redis.send(.get("greeting", as: String.self))
    let visits = try await redis.send(.incr("visits"))
    #expect(greeting == "hello" && visits == 1)
    let encoding = try await redis.send(RedisCommand("OBJECT", "ENCODING", "visits")).string
    #expect(encoding == "int")
    do {
      try await redis.send(.incr("visits"))
    } catch let error as RedisError where error.mayHaveExecuted {
      Issue.record("\(error)")
    }
  }
}

private final class Cache: Sendable {
  private let events = Mutex<[String]>([])

  var lines: [String] { events.withLock { $0 } }

  func reload(from redis: RedisClient) async throws {
    try await redis.send(.ping())
    events.withLock { $0.append("reloaded") }
  }

  func update(_ line: String) {
    events.withLock { $0.append(line) }
  }
}

private struct Order: Codable { var id: Int; var total: Double }

extension Order: RedisReplyDecodable, RedisArgumentConvertible {
  init(reply: RESPValue) throws(RedisReplyMismatch) {
    guard let bytes = reply.bytes, let order = try? JSONDecoder().decode(Order.self, from: Data(bytes.readableBytesView)) else {
      throw RedisReplyMismatch(expected: "the JSON of an order", found: reply)
    }
    self = order
  }

  var redisArgument: RedisArgument { RedisArgument([UInt8]((try? JSONEncoder().encode(self)) ?? Data())) }
}

extension RedisTypedCommand<String?> {
  fileprivate static func objectEncoding(_ key: String) -> Self { Self(RedisCommand("OBJECT", "ENCODING", key).idempotent) }
}

private struct StubRedis: RedisCommandSender {
  let answer: @Sendable (RedisCommand) throws -> RESPValue

  func send(_ command: RedisCommand) async throws -> RESPValue { try answer(command) }

  func pipeline(_ commands: [RedisCommand]) async throws -> [Result<RESPValue, RedisError>] {
    try commands.map { .success(try answer($0)) }
  }
}
