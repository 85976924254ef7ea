import ArgumentParser
import BenchmarkSupport
import Foundation

/// The number of executions per second of a node, and where the time goes.
@main
struct ExecutionsBench: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "executions-bench",
    abstract: "Executions per second of a release parallaxd, and where the time goes.",
    discussion: """
      Starts a node (and a redis-server with appendonly everysec), connects agents that answer at once, and lets closed-loop callers \
      execute a pattern with one agent task. Node, Redis, agents and callers share this machine.
      """)

  @Option(help: "Seconds of one round.")
  var duration = 5

  @Option(help: "Rounds; the table shows the one with the median rate.")
  var rounds = 3

  @Option(help: "Callers, each with one request at a time on a connection of its own.")
  var connections = 64

  @Option(help: "Agents.")
  var agents = 8

  @Flag(name: .customLong("async"), help: "Wait for the 202 instead of the result.")
  var asynchronous = false

  @Flag(help: "Only on Redis.")
  var redis = false

  @Flag(help: "Only with the in-memory store.")
  var embedded = false

  @Option(help: "The parallaxd to measure.")
  var daemon = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../../.build/release/parallaxd").standardizedFileURL
    .path

  func validate() throws {
    guard duration > 0, rounds > 0, connections > 0, agents > 0 else {
      throw ValidationError("--duration, --rounds, --connections and --agents start at 1")
    }
    guard FileManager.default.isExecutableFile(atPath: daemon) else {
      throw ValidationError("\(daemon) is missing: swift build -c release --product parallaxd")
    }
  }

  func run() async throws {
    var rows: [Report.Row] = []
    if !redis || embedded { rows.append(try await measure(store: "embedded", onRedis: false)) }
    if redis || !embedded { rows.append(try await measure(store: "redis", onRedis: true)) }
    print(Report(rows: rows, connections: connections, agents: agents, asynchronous: asynchronous).text)
  }

  private func measure(store: String, onRedis: Bool) async throws -> Report.Row {
    let redis = onRedis ? try await RedisProcess.start() : nil
    defer { redis?.server.stop() }
    let node = try await NodeProcess.start(daemon: daemon, redisPort: redis?.port)
    defer { node.server.stop() }

    let load = try await Load.start(port: node.port, connections: connections, agents: agents, asynchronous: asynchronous)
    try await load.warmUp()
    var measured: [Round] = []
    for number in 1...rounds {
      let round = try await load.round(seconds: duration, node: node, redis: redis)
      print("\(store), round \(number): \(Int(round.executionsPerSecond)) executions/s")
      measured.append(round)
    }
    try await load.stop()
    let byRate = measured.sorted { $0.executionsPerSecond < $1.executionsPerSecond }
    return Report.Row(store: store, round: byRate[byRate.count / 2])
  }
}
