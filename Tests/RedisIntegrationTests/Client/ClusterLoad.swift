import ParallaxRedis
import Synchronization
import TestSupport

/// Callers that write and read in many slots while a cluster changes, and check every reply.
///
/// Each key has one caller. Counters are not idempotent, and show whether a write was lost or executed twice; values are idempotent, and so
/// are pairs, which need both of their keys on one server.
final class ClusterLoad: Sendable {
  /// The knowledge of a counter's caller.
  struct Counter {
    var value = 0
    var acknowledged = 0
    /// Increments that may have been executed.
    var unknown = 0
  }

  struct Record {
    var counters: [String: Counter] = [:]
    /// The errors, by the hash tag of the keys.
    var failures: [(tag: String, error: any Error)] = []
    /// Impossible replies.
    var wrong: [String] = []
    /// Acknowledged increments that were lost.
    var lostIncrements = 0
    /// Values older than the acknowledged ones, or missing ones.
    var lostValues = 0
    var slowest: [String: Duration] = [:]
    var done = 0
    fileprivate var isOver = false
  }

  let tags: [String]
  private let client: RedisClient
  private let record = Mutex(Record())
  private let clock = ContinuousClock()

  init(_ client: RedisClient, tags: [String]) {
    self.client = client
    self.tags = tags
  }

  var seen: Record { record.withLock { $0 } }

  static func counter(_ tag: String) -> String { "counter\(tag)" }

  /// Works during the body, and finishes the work in progress.
  func run(_ body: @Sendable () async throws -> Void) async throws {
    try await withThrowingTaskGroup(of: Void.self) { group in
      for tag in tags {
        group.addTask { await self.repeatedly { _ in await self.count(tag) } }
        group.addTask { await self.repeatedly { await self.value(tag, $0) } }
        group.addTask { await self.repeatedly { await self.pair(tag, $0) } }
        group.addTask { await self.repeatedly { _ in await self.transact(tag) } }
      }
      group.addTask { await self.repeatedly { _ in await self.countAll() } }
      do {
        try await body()
      } catch {
        group.cancelAll()
        throw error
      }
      record.withLock { $0.isOver = true }
      try await group.waitForAll()
    }
  }

  private func repeatedly(_ call: (Int) async -> Void) async {
    var turn = 0
    while !Task.isCancelled, !record.withLock({ $0.isOver }) {
      turn += 1
      await call(turn)
      record.withLock { $0.done += 1 }
    }
  }

  /// Waits until each counter of the tags has been written this many times again.
  func advance(by count: Int = 5, _ tags: [String]? = nil, within limit: Duration = .seconds(15)) async throws {
    let tags = tags ?? self.tags
    let before = seen.counters
    try await eventually("\(count) further writes of each counter", within: limit, every: .milliseconds(2)) {
      let now = seen.counters
      return tags.map(Self.counter).allSatisfy { (now[$0]?.acknowledged ?? 0) >= (before[$0]?.acknowledged ?? 0) + count }
    }
  }

  // MARK: The callers

  private func count(_ tag: String) async {
    let key = Self.counter(tag)
    await attempt(tag, [key]) { counted(key, try await self.client.send(RedisCommand("INCR", key)).int) }
  }

  /// One pipeline to all masters.
  private func countAll() async {
    let keys = tags.map { "pipelined\($0)" }
    let began = clock.now
    guard let results = try? await client.pipeline(keys.map { RedisCommand("INCR", $0) }) else { return }
    for (index, result) in results.enumerated() {
      switch result {
      case .success(let value): counted(keys[index], value.int)
      case .failure(let error): failed(tags[index], [keys[index]], error)
      }
    }
    if results.allSatisfy({ (try? $0.get()) != nil }) { took("all", since: began) }
  }

  /// Two increments that are both executed or both not.
  private func transact(_ tag: String) async {
    let key = "transacted\(tag)"
    await attempt(tag, [key, key]) {
      let results = try await self.client.pipeline([
        RedisCommand("MULTI"), RedisCommand("INCR", key), RedisCommand("INCR", key), RedisCommand("EXEC"),
      ])
      let values = try results[3].get().array?.map(\.int)
      self.counted(key, values?.first ?? nil)
      self.counted(key, values?.last ?? nil)
    }
  }

  private func value(_ tag: String, _ turn: Int) async {
    let key = "value\(tag)"
    await attempt(tag, []) {
      _ = try await self.client.send(RedisCommand("SET", key, turn).idempotent)
      self.read([try await self.client.send(RedisCommand("GET", key).idempotent).int], of: key, written: turn)
    }
  }

  private func pair(_ tag: String, _ turn: Int) async {
    let (one, two) = ("one\(tag)", "two\(tag)")
    await attempt(tag, []) {
      _ = try await self.client.send(RedisCommand("MSET", one, turn, two, turn).idempotent)
      self.read(try await self.client.send(RedisCommand("MGET", one, two).idempotent).array?.map(\.int) ?? [], of: one, written: turn)
    }
  }

  // MARK: The record

  private func attempt(_ tag: String, _ counters: [String], _ body: () async throws -> Void) async {
    let began = clock.now
    do {
      try await body()
      took(tag, since: began)
    } catch {
      failed(tag, counters, error)
    }
  }

  private func took(_ tag: String, since began: ContinuousClock.Instant) {
    let time = clock.now - began
    record.withLock { $0.slowest[tag] = max($0.slowest[tag] ?? .zero, time) }
  }

  private func failed(_ tag: String, _ counters: [String], _ error: any Error) {
    if error is CancellationError { return }
    record.withLock { record in
      record.failures.append((tag, error))
      guard (error as? RedisError)?.mayHaveExecuted != false else { return }
      for key in counters { record.counters[key, default: Counter()].unknown += 1 }
    }
  }

  private func counted(_ key: String, _ value: Int?) {
    record.withLock { record in
      var counter = record.counters[key, default: Counter()]
      let value = value ?? -1
      if value < 1 || value > counter.value + 1 + counter.unknown {
        record.wrong.append("\(key) is \(value) after \(counter)")
      } else if value <= counter.value {
        record.lostIncrements += counter.value - value + 1
      }
      counter.value = value
      counter.acknowledged += 1
      record.counters[key] = counter
    }
  }

  private func read(_ values: [Int?], of key: String, written: Int) {
    record.withLock { record in
      for value in values where value != written {
        if let value, value > written { record.wrong.append("\(key) is \(values), not \(written)") } else { record.lostValues += 1 }
      }
      if values.isEmpty { record.wrong.append("\(key) has no values") }
    }
  }
}
