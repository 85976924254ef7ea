import ParallaxRedis
import Synchronization
import TestSupport

/// Tasks that write continuously, each to keys of its own, and record the replies.
///
/// Each task increments a counter with INCR, which must not be sent twice, and then sets a mark to the number of its round, which may be. A
/// counter begins at a value of its own, so that a reply for another writer shows.
final class WriterLoad: Sendable {
  enum Answer {
    case acknowledged(Int)
    case failed(RedisError)
  }

  /// The replies of one writer.
  struct History {
    var counter: [Answer] = []
    var marks: [Answer] = []
  }

  private struct State {
    var histories: [History]
    var acknowledged = 0
    var lastAcknowledged: ContinuousClock.Instant?
    var longestPause = Duration.zero
    var isOver = false
  }

  private let client: RedisClient
  private let state: Mutex<State>

  private init(_ client: RedisClient, writers: Int) {
    self.client = client
    state = Mutex(State(histories: Array(repeating: History(), count: writers)))
  }

  /// Lets the writers work during the body.
  ///
  /// - Returns: The replies of all writers.
  static func run(
    on client: RedisClient, writers: Int = 8, while body: @Sendable (WriterLoad) async throws -> Void
  ) async throws -> WriterReport {
    let load = WriterLoad(client, writers: writers)
    for writer in 0..<writers { _ = try await client.send(RedisCommand("SET", counterKey(writer), firstValue(writer)).idempotent) }
    try await withThrowingTaskGroup(of: Void.self) { group in
      for writer in 0..<writers { group.addTask { try await load.write(writer) } }
      do {
        try await load.progress()
        try await body(load)
        load.state.withLock { $0.isOver = true }
        try await group.waitForAll()
      } catch {
        load.state.withLock { $0.isOver = true }
        throw error
      }
    }
    return load.state.withLock {
      WriterReport(histories: $0.histories, acknowledged: $0.acknowledged, longestPause: $0.longestPause)
    }
  }

  /// Waits until several hundred further writes have been acknowledged.
  func progress() async throws {
    let before = state.withLock { $0.acknowledged }
    try await eventually("writes go on") { state.withLock { $0.acknowledged } > before + 200 }
  }

  static func counterKey(_ writer: Int) -> String { "counter:\(writer)" }
  static func markKey(_ writer: Int) -> String { "mark:\(writer)" }
  static func firstValue(_ writer: Int) -> Int { (writer + 1) * 1_000_000_000 }

  private func write(_ writer: Int) async throws {
    var round = 0
    while !state.withLock({ $0.isOver }) {
      round += 1
      let counted = try await answer { try await client.send(RedisCommand("INCR", Self.counterKey(writer))).int ?? -1 }
      note(counted) { $0.histories[writer].counter.append(counted) }
      let number = round
      let marked = try await answer {
        let reply = try await client.send(RedisCommand("SET", Self.markKey(writer), number).idempotent)
        return reply.string == "OK" ? number : -1
      }
      note(marked) { $0.histories[writer].marks.append(marked) }
      // A load that leaves processor time to others.
      try await Task.sleep(for: .milliseconds(2))
    }
  }

  private func answer(_ write: () async throws -> Int) async throws -> Answer {
    do { return .acknowledged(try await write()) } catch let error as RedisError { return .failed(error) }
  }

  private func note(_ answer: Answer, _ append: (inout State) -> Void) {
    state.withLock { state in
      append(&state)
      guard case .acknowledged = answer else { return }
      let now = ContinuousClock.now
      if let last = state.lastAcknowledged { state.longestPause = max(state.longestPause, now - last) }
      state.acknowledged += 1
      state.lastAcknowledged = now
    }
  }
}
