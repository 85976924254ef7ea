import ParallaxRedis
import Synchronization
import TestSupport

/// A continuous load of verifiable commands: each worker has keys of its own, and knows their possible values.
final class EnduranceLoad: Sendable {
  private struct State {
    var report = EnduranceReport()
    var commands = 0
    var eventsAreOver = false
    /// The time of each worker's last reply.
    var lastReplies: [ContinuousClock.Instant]
    /// The longest time that a worker was without a reply since the last call.
    var longestSilence = Duration.zero
  }

  private static let keysPerWorker = 20

  private let client: RedisClient
  private let goal: Int
  private let state: Mutex<State>

  private init(_ client: RedisClient, goal: Int, workers: Int) {
    self.client = client
    self.goal = goal
    state = Mutex(State(lastReplies: Array(repeating: .now, count: workers)))
  }

  /// Sends at least this many commands, and performs the events meanwhile, evenly spread; returns the observations, including the final
  /// reads of all keys.
  static func run(
    _ commands: Int, on client: RedisClient, workers: Int = 16,
    events: [(name: String, action: @Sendable () async throws -> Void)]
  ) async throws -> EnduranceReport {
    let load = EnduranceLoad(client, goal: commands, workers: workers)
    try await withThrowingTaskGroup(of: Void.self) { group in
      for worker in 0..<workers { group.addTask { try await load.work(worker) } }
      for (number, event) in events.enumerated() {
        try await load.reaches(Double(number + 1) / Double(events.count + 1))
        try await load.observe(event.name, event.action)
      }
      load.state.withLock { $0.eventsAreOver = true }
      try await group.waitForAll()
    }
    return load.state.withLock { state in
      state.report.commands = state.commands
      return state.report
    }
  }

  // MARK: Events

  private func reaches(_ share: Double) async throws {
    try await eventually("\(share) of the load", within: .seconds(600)) { state.withLock { Double($0.commands) } >= Double(goal) * share }
  }

  /// Performs an event on the servers, and measures the wait of the workers.
  private func observe(_ name: String, _ action: () async throws -> Void) async throws {
    state.withLock { $0.longestSilence = .zero }
    try await action()
    let before = state.withLock { $0.commands }
    try await eventually("the load continues after \(name)", within: .seconds(30)) { state.withLock { $0.commands } > before + 1_000 }
    state.withLock { $0.report.silences.append((name, $0.longestSilence)) }
  }

  // MARK: Work

  private func work(_ worker: Int) async throws {
    var keys = (0..<Self.keysPerWorker).map { OwnKey(worker: worker, number: $0) }
    var counter = OwnCounter()
    var round = 0
    while state.withLock({ $0.commands < goal || !$0.eventsAreOver }) {
      round += 1
      let index = round % keys.count
      try await set(&keys[index], worker)
      try await get(&keys[index], worker)
      if round.isMultiple(of: 4) { try await increment(&counter, worker) }
      if round.isMultiple(of: 8) { try await pipeline(&keys, worker) }
    }
    for index in keys.indices { try await get(&keys[index], worker) }
  }

  private func set(_ key: inout OwnKey, _ worker: Int) async throws {
    let value = key.begin()
    let outcome = try await attempt(worker) { try await client.send(RedisCommand("SET", key.name, value).idempotent) }
    if let reply = outcome { key.acknowledged(); expect(reply.string == "OK", "SET answered \(reply)") }
  }

  private func get(_ key: inout OwnKey, _ worker: Int) async throws {
    let outcome = try await attempt(worker) { try await client.send(RedisCommand("GET", key.name).idempotent) }
    if let reply = outcome { judge(key.read(reply.string), key) }
  }

  private func increment(_ counter: inout OwnCounter, _ worker: Int) async throws {
    counter.begin()
    let outcome = try await attempt(worker) { try await client.send(RedisCommand("INCR", "count:\(worker)")) }
    guard let reply = outcome else { return }
    guard let value = reply.int else { return expect(false, "INCR answered \(reply)") }
    switch counter.read(value) {
    case .expected: break
    case .lost: state.withLock { $0.report.lostWrites += 1 }
    case .wrong: expect(false, "INCR answered \(value), which is more than was ever sent")
    }
  }

  private func pipeline(_ keys: inout [OwnKey], _ worker: Int) async throws {
    let commands = keys.indices.flatMap { index in
      [RedisCommand("SET", keys[index].name, keys[index].begin()).idempotent, RedisCommand("GET", keys[index].name).idempotent]
    }
    let results = try await client.pipeline(commands)
    note(worker, commands: results.count, isReply: results.contains { if case .success = $0 { true } else { false } })
    for (position, result) in results.enumerated() {
      let index = position / 2
      switch result {
      case .failure(let error): fail(error)
      case .success(let reply) where position.isMultiple(of: 2):
        keys[index].acknowledged()
        expect(reply.string == "OK", "SET answered \(reply)")
      case .success(let reply):
        // If its SET failed and was repeated, the GET may have come before it.
        if case .success = results[position - 1] { judge(keys[index].read(reply.string), keys[index]) }
      }
    }
  }

  private func judge(_ reading: OwnKey.Reading, _ key: OwnKey) {
    switch reading {
    case .expected: break
    case .lost: state.withLock { $0.report.lostWrites += 1 }
    case .wrong(let value): expect(false, "GET \(key.name) answered \(value)")
    }
  }

  private func attempt(_ worker: Int, _ send: () async throws -> RESPValue) async throws -> RESPValue? {
    do {
      let reply = try await send()
      note(worker, commands: 1, isReply: true)
      return reply
    } catch let error as RedisError {
      note(worker, commands: 1, isReply: false)
      fail(error)
      return nil
    }
  }

  private func note(_ worker: Int, commands: Int, isReply: Bool) {
    let now = ContinuousClock.now
    state.withLock { state in
      state.commands += commands
      guard isReply else { return }
      state.longestSilence = max(state.longestSilence, now - state.lastReplies[worker])
      state.lastReplies[worker] = now
      if state.commands / 50_000 > state.report.residentMegabytes.count {
        state.report.residentMegabytes.append(ProcessMemory.residentMegabytes)
      }
    }
  }

  private func fail(_ error: RedisError) {
    state.withLock { $0.report.errors[error.serverCode.map { "\(error.code) \($0)" } ?? error.code.description, default: 0] += 1 }
  }

  private func expect(_ isRight: Bool, _ complaint: String) {
    if !isRight { state.withLock { $0.report.wrongReplies.append(complaint) } }
  }
}
