import ParallaxRedis
import TestSupport
import Testing

@Suite("Faults of a real server that keeps running", .serialized, .timeLimit(.minutes(1)))
struct ServerFaultTests {
  @Test("CLIENT KILL under load: no idempotent write fails, no other write is executed twice, and no reply is wrong")
  func killedConnections() async throws {
    try await withServerAndClient { server, client async throws in
      let report = try await WriterLoad.run(on: client) { load in
        for _ in 0..<10 {
          try server.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
          try await load.progress()
        }
      }
      print("CLIENT KILL: \(report.summary)")
      #expect(try report.complaints(server) == [])
      #expect(report.lost == 0)
      #expect(report.failures.allSatisfy { $0.code == .unknownOutcome && $0.mayHaveExecuted && $0.command == "INCR" }, "\(report.failures)")
    }
  }

  @Test("CLIENT PAUSE: commands that time out may have been executed, and later replies reach their callers")
  func pausedClients() async throws {
    try await withServerAndClient { server, client async throws in
      let connection = try await client.send(RedisCommand("CLIENT", "ID")).int
      try server.command("CLIENT", "PAUSE", "60000", "WRITE")
      let impatient = try await withThrowingTaskGroup(of: RedisError?.self) { group in
        for _ in 0..<10 {
          group.addTask { try await redisError { try await client.send(RedisCommand("INCR", "n").withTimeout(.seconds(1))) } }
        }
        return try await group.reduce(into: []) { $0.append($1) }
      }
      #expect(impatient.allSatisfy { $0?.code == .timedOut && $0?.mayHaveExecuted == true })
      try await withThrowingTaskGroup(of: Bool.self) { group in
        for number in 0..<100 {
          group.addTask { try await client.send(RedisCommand("ECHO", "e\(number)")).string == "e\(number)" }
          group.addTask { try await client.send(RedisCommand("INCR", "n\(number)")).int == 1 }
        }
        try server.command("CLIENT", "UNPAUSE")
        for try await isRight in group { #expect(isRight) }
      }
      #expect(try await client.send(RedisCommand("GET", "n")).int == 10)
      #expect(try await client.send(RedisCommand("CLIENT", "ID")).int == connection)
    }
  }

  @Test("A server that becomes a replica: commands wait within their time-outs, and fail with the reason")
  func demotion() async throws {
    try await withServerAndClient { server, client async throws in
      #expect(try await client.send(RedisCommand("SET", "k", "old")).string == "OK")
      try server.command("CONFIG", "SET", "replica-serve-stale-data", "no")
      try server.command("REPLICAOF", "127.0.0.1", "\(LoopbackPort.free())")
      let connected = try server.info("stats")["total_connections_received"].flatMap { Int($0) }
      for (command, code) in [(RedisCommand("SET", "k", "new"), "READONLY"), (RedisCommand("GET", "k"), "MASTERDOWN")] {
        let began = ContinuousClock.now
        let error = try #require(try await redisError { try await client.send(command.withTimeout(.seconds(4))) })
        #expect(error.serverCode == code, "\(error)")
        #expect(ContinuousClock.now - began > .seconds(1))
      }
      // Waiting commands must not make the client reconnect in a loop.
      let connectedNow = try server.info("stats")["total_connections_received"].flatMap { Int($0) }
      #expect(try #require(connectedNow) - #require(connected) < 10)
      let refused = try server.info("errorstats")["errorstat_READONLY"]
      async let write = client.send(RedisCommand("SET", "k", "new"))
      async let writes = client.pipeline((0..<10).map { RedisCommand("INCR", "n\($0)") })
      try await eventually("the server has refused the writes") {
        try server.info("errorstats")["errorstat_READONLY"].map { $0 != refused } == true
      }
      try server.command("REPLICAOF", "NO", "ONE")
      #expect(try await write.string == "OK")
      #expect(try await writes.map { try $0.get().int } == Array(repeating: 1, count: 10))
      #expect(try await client.send(RedisCommand("GET", "k")).string == "new")
    }
  }

  @Test("A password that is changed fails commands at once when the connection is lost, until it is changed back")
  func changedPassword() async throws {
    try await RedisServer.with(.init(users: ["worker on >first-secret ~* &* +@all"])) { server in
      let log = LogCollector()
      let configuration = try server.configuration {
        $0.username = "worker"
        $0.password = "first-secret"
      }
      try await withClient(configuration, logger: log.logger) { client async throws in
        #expect(try await client.send(RedisCommand("ACL", "WHOAMI")).string == "worker")
        try server.command("ACL", "SETUSER", "worker", "resetpass", ">second-secret")
        #expect(try await client.send(RedisCommand("ACL", "WHOAMI")).string == "worker")
        try server.command("CLIENT", "KILL", "USER", "worker")
        try await eventually("the client has noticed") { !client.status.isConnected }
        let began = ContinuousClock.now
        let error = try #require(try await redisError { try await client.send(RedisCommand("GET", "k").idempotent) })
        print("changed password: told after \(ContinuousClock.now - began)")
        #expect(error.code == .authenticationFailed)
        #expect(error.serverCode == "WRONGPASS")
        #expect(!error.mayHaveExecuted)
        #expect(ContinuousClock.now - began < .seconds(9))
        try server.command("ACL", "SETUSER", "worker", "resetpass", ">first-secret")
        let mended = ContinuousClock.now
        try await eventually("the client is back") { client.status.isConnected }
        print("changed password: back after \(ContinuousClock.now - mended)")
        #expect(try await client.send(RedisCommand("ACL", "WHOAMI")).string == "worker")
        #expect(log.errors.allSatisfy { !$0.contains("secret") })
      }
    }
  }
}
