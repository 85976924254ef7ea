import ParallaxRedis
import ParallaxRedisStores
import ParallaxTesting
import TestSupport
import Testing

/// The pauses of a receiver, on a manual clock.
@Suite(.timeLimit(.minutes(1))) struct InboxPauseTests {
  private let clock = ManualClock()
  private let reads = Recorder<[String]>()

  /// Receives from a server that answers every read alike, while the body moves the clock.
  private func receiving(_ answer: String, _ body: @Sendable () async throws -> Void) async throws {
    try await withScriptedServer { [reads] command in
      guard command.first == "XREADGROUP" else { return "+OK\r\n" }
      reads.add(command)
      return answer
    } _: { port in
      try await withClient(RedisConfiguration(host: "127.0.0.1", port: port)) { client async throws in
        let store = RedisInboxStore(client: client, keys: try KeySpace(), clock: clock, logger: quietLogger)
        try await withThrowingTaskGroup(of: Void.self) { group in
          group.addTask { try await store.receive(at: InboxesUnderTest.session, limit: 10) { _ in } }
          try await body()
          group.cancelAll()
        }
      }
    }
  }

  /// The first read does not block, so its empty reply requires no pause.
  @Test func blockingReadsThatReturnAtOnceAreLimitedToTenPerSecond() async throws {
    try await receiving("*-1\r\n") {
      for round in 2...20 {
        try await clock.sleepers()
        for _ in 0..<100 { await Task.yield() }
        #expect(reads.count == round)
        #expect(clock.nextDeadline.map { clock.now.duration(to: $0) } == .milliseconds(100))
        clock.advance(by: .milliseconds(100))
      }
    }
  }

  @Test func failedReadsAreRepeatedAfterGrowingPauses() async throws {
    try await receiving("-ERR out of order\r\n") {
      for (failure, pause) in [50, 100, 200, 400, 800, 1_000, 1_000].enumerated() {
        try await clock.sleepers()
        #expect(reads.count == failure + 1)
        #expect(clock.nextDeadline.map { clock.now.duration(to: $0) } == .milliseconds(pause))
        clock.advance(by: .milliseconds(pause))
      }
    }
  }
}
