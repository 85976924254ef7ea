import NIOCore
import ParallaxRedis
import TestSupport
import Testing

@Suite("Outages of a real server", .timeLimit(.minutes(1)))
struct OutageTests {
  @Test("A wrong password fails commands at once, with the server's error and without the password, and is logged once")
  func wrongPassword() async throws {
    try await RedisServer.with(.init(password: "right")) { server in
      let log = LogCollector()
      let configuration = try server.configuration { $0.password = "wrong-secret" }
      try await withClient(configuration, logger: log.logger) { client async throws in
        let error = try #require(try await redisError { try await client.send(RedisCommand("PING")) })
        #expect(error.code == .authenticationFailed)
        #expect(error.command == "PING")
        #expect(error.serverCode == "WRONGPASS")
        #expect(!"\(error)".contains("wrong-secret"))
        // Several attempts later:
        try await Task.sleep(for: .milliseconds(300))
        #expect(log.errors.count == 1)
        #expect(log.errors.allSatisfy { $0.contains("WRONGPASS") && !$0.contains("wrong-secret") })
      }
    }
  }

  @Test("A server that requires a password is reported, in both protocols", arguments: [[], ["--rename-command", "HELLO", ""]])
  func missingPassword(arguments: [String]) async throws {
    try await RedisServer.with(.init(password: "right", arguments: arguments)) { server in
      try await withClient(server.configuration { $0.password = nil }) { client async throws in
        #expect(try await redisError { try await client.send(RedisCommand("PING")) }?.code == .authenticationFailed)
      }
      try await withClient(server.configuration()) { client async throws in
        #expect(try await client.send(RedisCommand("PING")).string == "PONG")
      }
    }
  }

  @Test("An ACL user logs in with its own password")
  func aclUser() async throws {
    try await RedisServer.with(.init(arguments: ["--user", "worker", "on", ">pw", "~*", "+@all"])) { server in
      let configuration = try server.configuration {
        $0.username = "worker"
        $0.password = "pw"
        $0.clientName = "test-client"
      }
      try await withClient(configuration) { client async throws in
        #expect(try await client.send(RedisCommand("ACL", "WHOAMI")).string == "worker")
        #expect(try await client.send(RedisCommand("CLIENT", "GETNAME")).string == "test-client")
      }
    }
  }

  @Test("Each new shared connection is reported to all consumers, until the client ends")
  func connectionEvents() async throws {
    try await RedisServer.with { server in
      let streams = try await withClient(server.configuration()) { client async throws in
        _ = try await client.send(RedisCommand("PING"))
        let (first, second) = (client.connectionEvents(), client.connectionEvents())
        var (news, others) = (first.makeAsyncIterator(), second.makeAsyncIterator())
        try server.command("CLIENT", "KILL", "TYPE", "normal")
        #expect(await news.next() != nil)
        #expect(await others.next() != nil)
        try await server.restart()
        #expect(await news.next() != nil)
        #expect(await others.next() != nil)
        return [first, second, client.connectionEvents()]
      }
      for stream in streams {
        for await _ in stream { Issue.record("a client that has ended has made a connection") }
      }
    }
  }

  @Test("A database that does not exist is a configuration error")
  func missingDatabase() async throws {
    try await RedisServer.with(.init(databases: 2)) { server in
      try await withClient(server.configuration { $0.database = 9 }) { client async throws in
        #expect(try await redisError { try await client.send(RedisCommand("PING")) }?.code == .invalidConfiguration)
      }
    }
  }

  @Test("Commands wait for a server that starts late; those that time out have the reason; the outage is logged once")
  func lateServer() async throws {
    let server = try RedisServer()
    defer { server.kill() }
    let log = LogCollector()
    try await withClient(server.configuration(), logger: log.logger) { client async throws in
      try await eventually("the first attempt has failed") { log.errors.count == 1 }
      let error = try #require(try await redisError { try await client.send(RedisCommand("PING").withTimeout(.milliseconds(200))) })
      #expect(error.code == .connectionFailed)
      #expect(error.message.contains("127.0.0.1:\(server.port)"))
      #expect(!error.mayHaveExecuted)
      #expect(!client.status.isConnected)
      async let patient = client.send(RedisCommand("ECHO", "patient"))
      try await server.start()
      #expect(try await patient.string == "patient")
      #expect(client.status.isConnected)
      #expect(log.errors.count == 1)
    }
  }

  /// Kills the server while it delays the INCR of the operation, and restarts it.
  private func killing<Value: Sendable>(
    _ server: RedisServer, _ client: RedisClient, while operation: @escaping @Sendable () async throws -> Value
  ) async throws -> Result<Value, any Error> {
    _ = try await client.send(RedisCommand("CLIENT", "PAUSE", 60_000, "WRITE"))
    async let outcome = Task { try await operation() }.result
    try await withClient(server.configuration()) { observer in
      try await eventually("the server has the INCR") {
        try await observer.send(RedisCommand("CLIENT", "LIST")).string?.contains("cmd=incr") == true
      }
    }
    server.kill()
    try await server.start()
    return await outcome
  }

  @Test("A command in flight when the server is killed has an unknown outcome")
  func unknownOutcome() async throws {
    try await withServerAndClient { server, client async throws in
      let outcome = try await killing(server, client) { try await client.send(RedisCommand("INCR", "n")) }
      let error = try #require(try await redisError { try outcome.get() })
      #expect(error.code == .unknownOutcome)
      #expect(error.mayHaveExecuted)
      #expect(error.command == "INCR")
      #expect(try await client.send(RedisCommand("GET", "n")).isNull)
    }
  }

  @Test("An idempotent command in flight when the server is killed is sent again")
  func idempotentCommand() async throws {
    try await withServerAndClient { server, client async throws in
      let outcome = try await killing(server, client) { try await client.send(RedisCommand("INCR", "n").idempotent) }
      #expect(try outcome.get().int == 1)
    }
  }

  @Test("Of a pipeline in flight when the server is killed only the idempotent commands are sent again")
  func interruptedPipeline() async throws {
    try await withServerAndClient { server, client async throws in
      let outcome = try await killing(server, client) {
        try await client.pipeline([RedisCommand("PING"), RedisCommand("INCR", "n"), RedisCommand("ECHO", "e").idempotent])
      }
      let results = try outcome.get()
      #expect(try results[0].get().string == "PONG")
      #expect(try await redisError { try results[1].get() }?.code == .unknownOutcome)
      #expect(try results[2].get().string == "e")
    }
  }

  @Test("After CLIENT KILL and after a restart on the same port the client is back")
  func reconnection() async throws {
    try await withServerAndClient { server, client async throws in
      _ = try await client.send(RedisCommand("PING"))
      #expect(try await client.send(RedisCommand("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")).int != nil)
      #expect(try await client.send(RedisCommand("ECHO", "a").idempotent).string == "a")
      try await server.restart()
      #expect(try await client.send(RedisCommand("ECHO", "b").idempotent).string == "b")
      let status = client.status
      #expect(status.isConnected && status.disconnectedFor == nil && status.lastError == nil)
    }
  }

  @Test("A late reply is dropped, and the connection stays in use")
  func lateReply() async throws {
    try await withServerAndClient { _, client async throws in
      let connection = try await client.send(RedisCommand("CLIENT", "ID")).int
      let error = try await redisError { try await client.send(RedisCommand("DEBUG", "SLEEP", "3").withTimeout(.seconds(1))) }
      #expect(error?.code == .timedOut)
      #expect(error?.mayHaveExecuted == true)
      #expect(try await client.send(RedisCommand("ECHO", "next")).string == "next")
      #expect(try await client.send(RedisCommand("CLIENT", "ID")).int == connection)
    }
  }

  @Test("A connection whose replies stop is closed and replaced")
  func silence() async throws {
    try await withServerAndClient {
      $0.commandTimeout = .seconds(1)
    } _: { server, client async throws in
      let connection = try await client.send(RedisCommand("CLIENT", "ID").idempotent.withTimeout(.seconds(10))).int
      server.pause()
      let error = try await redisError { try await client.send(RedisCommand("PING")) }
      #expect(error?.code == .timedOut)
      try await eventually("the connection is given up") { !client.status.isConnected }
      #expect((client.status.timeSinceLastReply ?? .zero) >= .seconds(1))
      server.resume()
      try await eventually("the connection is back") { client.status.isConnected }
      #expect(try await client.send(RedisCommand("CLIENT", "ID").idempotent.withTimeout(.seconds(10))).int != connection)
    }
  }

  @Test("An idle connection to a hung server is detected")
  func keepAlive() async throws {
    try await withServerAndClient {
      $0.commandTimeout = .milliseconds(500)
      $0.keepAliveInterval = .milliseconds(100)
    } _: { server, client async throws in
      _ = try await client.send(RedisCommand("PING").idempotent.withTimeout(.seconds(10)))
      server.pause()
      try await eventually("the connection is given up") { !client.status.isConnected }
      server.resume()
      try await eventually("the connection is back") { client.status.isConnected }
    }
  }

  @Test("While the server loads its data commands are tried again, up to their time-out")
  func loading() async throws {
    let slowLoad = ["--key-load-delay", "2000", "--loading-process-events-interval-bytes", "1024"]
    try await withServerAndClient(.init(arguments: slowLoad)) { server, client async throws in
      let filled = try await client.send(RedisCommand("DEBUG", "POPULATE", 5_000, "key", 100))
      #expect(filled.string == "OK")
      _ = try await client.send(RedisCommand("SAVE"))
      server.kill()
      try server.launch()
      try await eventually("a command is refused while the server loads") {
        try await redisError { try await client.send(RedisCommand("GET", "key:1").withTimeout(.milliseconds(200))) }?.serverCode
          == "LOADING"
      }
      func refusals() throws -> String? { try server.info("errorstats")["errorstat_LOADING"] }
      let before = try refusals()
      async let write = client.send(RedisCommand("SET", "key:1", "new"))
      try await eventually("the write has been refused") { try refusals() != before }
      try server.command("CONFIG", "SET", "key-load-delay", "0")
      #expect(try await write.string == "OK")
    }
  }

  @Test("A server that is not Redis is recognized")
  func notRedis() async throws {
    try await withServerOfNonsense { port in
      var configuration = RedisConfiguration(host: "127.0.0.1", port: port)
      configuration.commandTimeout = .seconds(10)
      try await withClient(configuration) { client async throws in
        #expect(try await redisError { try await client.send(RedisCommand("PING")) }?.code == .protocolViolation)
      }
    }
  }

  @Test("After the end of run() commands fail at once")
  func shutDown() async throws {
    try await RedisServer.with { server in
      let client = try await withClient(server.configuration()) { client async throws in
        _ = try await client.send(RedisCommand("PING"))
        return client
      }
      #expect(try await redisError { try await client.send(RedisCommand("PING")) }?.code == .shutDown)
    }
  }
}
