import ArgumentParser
import Foundation
import Logging
import NIOCore
import ParallaxRedis
import Synchronization

/// Measures the client in a process of its own on one core.
struct Worker: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "worker", abstract: "Prints commands, nanoseconds and allocations of one workload.", shouldDisplay: false)

  @Option(help: "The port of the server.")
  var port: Int

  @Option(help: "The name of the workload.")
  var workload: String

  @Option(help: "Seconds to measure.")
  var seconds: Double

  @Flag(help: "Create each command again, as most programs do, instead of once, as the program for hiredis does.")
  var makingCommands = false

  func run() async throws {
    guard let workload = Workload.all.first(where: { $0.name == workload }) else {
      throw ValidationError("There is no workload \(workload): it is one of \(Workload.all.map(\.name).joined(separator: ", ")).")
    }
    let client = try RedisClient(configuration: RedisConfiguration(host: "127.0.0.1", port: port), logger: Logger(label: "redis-bench"))
    try await withThrowingTaskGroup { group in
      group.addTask { try await client.run() }
      let load = WorkerLoad(client: client, workload: workload, makesCommands: makingCommands)
      _ = try await load.run(seconds: 0.2)
      let allocationsBefore = Self.allocationsSoFar()
      let start = ContinuousClock.now
      let commands = try await load.run(seconds: seconds)
      let elapsed = ContinuousClock.now - start
      let allocations = Self.allocationsSoFar() - allocationsBefore
      print(commands, Int(elapsed / .nanoseconds(1)), allocations)
      group.cancelAll()
    }
  }

  /// The count of the preloaded library; 0 without it.
  private static func allocationsSoFar() -> Int {
    guard let symbol = dlsym(nil, "allocations_so_far") else { return 0 }
    return unsafeBitCast(symbol, to: (@convention(c) () -> Int).self)()
  }
}

/// The callers of a workload.
struct WorkerLoad: Sendable {
  let client: RedisClient
  let workload: Workload
  let makesCommands: Bool

  /// The number of commands that were answered in time.
  func run(seconds: Double) async throws -> Int {
    let stop = StopFlag()
    return try await withThrowingTaskGroup(of: Int.self) { group in
      switch workload.shape {
      case .callers(let count, onLoop: false): for _ in 0..<count { group.addTask { try await call(until: stop) } }
      case .callers(let count, onLoop: true):
        for _ in 0..<count { group.addTask(executorPreference: client.executor) { try await call(until: stop) } }
      case .pipeline(let length, onLoop: false): group.addTask { try await pipeline(length, until: stop) }
      case .pipeline(let length, onLoop: true):
        group.addTask(executorPreference: client.executor) { try await pipeline(length, until: stop) }
      }
      try await Task.sleep(for: .seconds(seconds))
      stop.set()
      return try await group.reduce(0, +)
    }
  }

  private func call(until stop: StopFlag) async throws -> Int {
    let value = makeValue()
    let prepared = makesCommands ? nil : makeCommand(value)
    var commands = 0
    while !stop.isSet {
      _ = try await client.send(prepared ?? makeCommand(value))
      commands += 1
    }
    return commands
  }

  private func pipeline(_ length: Int, until stop: StopFlag) async throws -> Int {
    let value = makeValue()
    let prepared = makesCommands ? nil : makePipeline(length, value)
    var commands = 0
    while !stop.isSet {
      for result in try await client.pipeline(prepared ?? makePipeline(length, value)) { _ = try result.get() }
      commands += length
    }
    return commands
  }

  private func makeValue() -> ByteBuffer {
    ByteBuffer(repeating: UInt8(ascii: "x"), count: workload.bytes)
  }

  private func makePipeline(_ length: Int, _ value: ByteBuffer) -> [RedisCommand] {
    (0..<length).map { _ in makeCommand(value) }
  }

  private func makeCommand(_ value: ByteBuffer) -> RedisCommand {
    switch workload.command {
    case .get: RedisCommand("GET", Workload.key)
    case .set: RedisCommand("SET", Workload.key, value)
    }
  }
}

/// Stops callers at the cost of one atomic load.
final class StopFlag: Sendable {
  private let flag = Atomic(false)

  var isSet: Bool { flag.load(ordering: .relaxed) }

  func set() { flag.store(true, ordering: .relaxed) }
}
