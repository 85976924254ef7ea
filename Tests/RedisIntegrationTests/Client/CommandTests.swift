import NIOCore
import ParallaxRedis
import TestSupport
import Testing

@Suite("Commands on a real server", .timeLimit(.minutes(1)))
struct CommandTests {
  @Test("Each of thousands of concurrent tasks gets its own reply", arguments: [false, true])
  func concurrentTasks(onLoop: Bool) async throws {
    try await withServerAndClient { _, client async throws in
      try await withTaskExecutorPreference(onLoop ? client.executor : nil) {
        try await withThrowingTaskGroup(of: Bool.self) { group in
          for number in 0..<5_000 {
            group.addTask { try await client.send(RedisCommand("ECHO", "n\(number)")).string == "n\(number)" }
          }
          var right = 0
          for try await isRight in group where isRight { right += 1 }
          #expect(right == 5_000)
        }
      }
    }
  }

  @Test("Replies are read alike in RESP3 and in RESP2", arguments: [[], ["--rename-command", "HELLO", ""]])
  func bothProtocols(arguments: [String]) async throws {
    try await withServerAndClient(.init(arguments: arguments)) { _, client async throws in
      #expect(try await client.send(RedisCommand("HSET", "h", "a", 1, "b", "two")).int == 2)
      let map = try #require(try await client.send(RedisCommand("HGETALL", "h")).map)
      #expect(map.mapValues(\.string) == ["a": "1", "b": "two"])
      #expect(try await client.send(RedisCommand("GET", "none")).isNull)
      #expect(try await client.send(RedisCommand("SMEMBERS", "none")).array == [])
      #expect(try await client.send(RedisCommand("ZADD", "z", 1.5, "m")).int == 1)
      #expect(try await client.send(RedisCommand("ZSCORE", "z", "m")).double == 1.5)
    }
  }

  @Test("A pipeline returns replies in order, and an error in its own place")
  func pipelineOrder() async throws {
    try await withServerAndClient { _, client async throws in
      let commands = (0..<100).map { RedisCommand("ECHO", $0) } + [RedisCommand("INCR", "word"), RedisCommand("PING")]
      _ = try await client.send(RedisCommand("SET", "word", "x"))
      let results = try await client.pipeline(commands)
      #expect(results.count == 102)
      #expect(results.prefix(100).map { try? $0.get().int } == Array(0..<100))
      guard case .failure(let error) = results[100] else {
        Issue.record("INCR of a word succeeded")
        return
      }
      #expect(error.code == .serverError)
      #expect(error.command == "INCR")
      #expect(error.serverCode == "ERR")
      #expect(try results[101].get().string == "PONG")
    }
  }

  @Test("Values of a mebibyte come back unchanged, several at a time")
  func largeValues() async throws {
    try await withServerAndClient { _, client async throws in
      try await withThrowingTaskGroup(of: Bool.self) { group in
        for number in 0..<8 {
          group.addTask {
            let value = ByteBuffer(repeating: UInt8(number), count: 1 << 20)
            _ = try await client.send(RedisCommand("SET", "large\(number)", value))
            return try await client.send(RedisCommand("GET", "large\(number)")).bytes == value
          }
        }
        for try await isEqual in group { #expect(isEqual) }
      }
    }
  }

  @Test("A database number keeps keys apart")
  func databases() async throws {
    try await RedisServer.with { server in
      _ = try await withClient(server.configuration { $0.database = 3 }) { try await $0.send(RedisCommand("SET", "k", "v")) }
      try await withClient(server.configuration()) { client async throws in #expect(try await client.send(RedisCommand("GET", "k")).isNull)
      }
      try await withClient(server.configuration { $0.database = 3 }) { client async throws in
        #expect(try await client.send(RedisCommand("GET", "k")).string == "v")
      }
    }
  }

  @Test("A Unix domain socket works too")
  func unixSocket() async throws {
    try await RedisServer.with(.init(password: "secret")) { server in
      var configuration = try RedisConfiguration(url: "unix://:secret@\(server.socketPath)?db=1")
      configuration.commandTimeout = .seconds(10)
      try await withClient(configuration) { client async throws in
        #expect(try await client.send(RedisCommand("CLIENT", "INFO")).string?.contains(" db=1 ") == true)
      }
    }
  }

  @Test("Cancelling a task drops its reply alone")
  func cancellation() async throws {
    try await withServerAndClient { server, client async throws in
      _ = try await client.send(RedisCommand("PING"))
      server.pause()
      try await withThrowingTaskGroup(of: String?.self) { group in
        for number in 0..<10 { group.addTask { try await client.send(RedisCommand("ECHO", number)).string } }
        let cancelled = Task { try await client.send(RedisCommand("ECHO", "cancelled")) }
        // Time for the command to be sent; an earlier cancellation must end it too.
        try await Task.sleep(for: .milliseconds(50))
        cancelled.cancel()
        await #expect(throws: CancellationError.self) { try await cancelled.value }
        server.resume()
        let replies = try await group.reduce(into: []) { $0.append($1) }
        #expect(Set(replies) == Set((0..<10).map { "\($0)" }))
      }
      #expect(try await client.send(RedisCommand("ECHO", "after")).string == "after")
    }
  }

  @Test(
    "Commands that would delay others are refused on the shared connection",
    arguments: [
      RedisCommand("BLPOP", "list", 0), RedisCommand("select", 1), RedisCommand("SUBSCRIBE", "c"), RedisCommand("MULTI"),
      RedisCommand("WAIT", 1, 100), RedisCommand("XREAD", "COUNT", 1, "BLOCK", 0, "STREAMS", "s", "$"),
      RedisCommand("CLIENT", "REPLY", "OFF"),
    ])
  func refusals(command: RedisCommand) async throws {
    try await withServerAndClient { _, client async throws in
      let error = try await redisError { try await client.send(command) }
      #expect(error?.code == .connectionRequired)
      #expect(try await client.send(RedisCommand("PING")).string == "PONG")
    }
  }

  @Test("Too many commands in flight fail with an error that says so, and were not sent")
  func overload() async throws {
    try await withServerAndClient {
      $0.maximumCommandsInFlight = 10
    } _: { server, client async throws in
      _ = try await client.send(RedisCommand("PING"))
      server.pause()
      let codes = await withTaskGroup(of: RedisError.Code?.self) { group in
        for _ in 0..<30 {
          group.addTask {
            do {
              _ = try await client.send(RedisCommand("INCR", "counter"))
              return nil
            } catch { return (error as? RedisError)?.code }
          }
        }
        var codes: [RedisError.Code?] = []
        for await code in group {
          codes.append(code)
          // No reply arrives until all commands beyond the limit have been refused.
          if codes.count == 20 { server.resume() }
        }
        return codes
      }
      #expect(codes.prefix(20).allSatisfy { $0 == .overloaded })
      #expect(codes.suffix(10).allSatisfy { $0 == nil })
      #expect(try await client.send(RedisCommand("GET", "counter")).int == 10)
    }
  }

  @Test(
    "A pipeline that would leave a transaction or a WATCH to the next command is refused, a whole one is not",
    arguments: [["MULTI"], ["MULTI", "MULTI", "EXEC"], ["EXEC"], ["WATCH"], ["MULTI", "WATCH", "EXEC"], ["DISCARD"]])
  func halfTransactions(names: [String]) async throws {
    try await withServerAndClient { _, client async throws in
      func command(_ name: String) -> RedisCommand { name == "WATCH" ? RedisCommand("WATCH", "k") : RedisCommand(name) }
      let error = try await redisError { try await client.pipeline(names.map(command)) }
      #expect(error?.code == .connectionRequired)
      let whole = ["MULTI", "EXEC", "WATCH", "UNWATCH", "WATCH", "MULTI", "DISCARD", "PING"].map(command)
      #expect(try await client.pipeline(whole).allSatisfy { if case .success = $0 { true } else { false } })
    }
  }
}
