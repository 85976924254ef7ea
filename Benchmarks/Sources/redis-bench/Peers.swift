import BenchmarkSupport
import Foundation

/// Commands and the time they took.
struct Measurement {
  let commands: Int
  let seconds: Double
  var allocations = 0

  var rate: Double { Double(commands) / seconds }
}

/// Runs the server on one core, and the compared programs in turn on the other.
struct Peers {
  private static let serverCore = "0"
  private static let clientCore = "1"

  private let server: ServerProcess
  private let port: Int
  private let folder: URL
  private let taskset: URL
  private let redisBenchmark: URL

  private var hiredis: URL { folder.appending(path: "hiredis-bench") }
  private var preload: URL { folder.appending(path: "count-allocations.so") }

  static func start() async throws -> Peers {
    let folder = FileManager.default.temporaryDirectory.appending(path: "redis-bench-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    do {
      let taskset = try Program.named("taskset")
      let port = try freePort()
      let server = try ServerProcess(
        taskset,
        [
          "-c", serverCore, try Program.named("redis-server").path, "--port", "\(port)", "--bind", "127.0.0.1", "--save", "",
          "--appendonly", "no",
        ])
      let peers = Peers(
        server: server, port: port, folder: folder, taskset: taskset, redisBenchmark: try Program.named("redis-benchmark"))
      do {
        try peers.build()
        try await server.wait(for: "readiness") { server.log.contains("Ready to accept connections") ? () : nil }
      } catch {
        peers.stop()
        throw error
      }
      return peers
    } catch {
      try? FileManager.default.removeItem(at: folder)
      throw error
    }
  }

  private func build() throws {
    let sources = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../..").standardizedFileURL
    let gcc = try Program.named("gcc")
    _ = try Program.output(
      of: gcc, ["-O2", "-Wall", "-Werror", "-o", hiredis.path, sources.appending(path: "hiredis/hiredis-bench.c").path, "-lhiredis"])
    _ = try Program.output(
      of: gcc,
      ["-O2", "-Wall", "-Werror", "-shared", "-fPIC", "-o", preload.path, sources.appending(path: "Preload/count-allocations.c").path])
  }

  func stop() {
    server.stop()
    try? FileManager.default.removeItem(at: folder)
  }

  /// Sets the value that the workload reads.
  func setValue(of workload: Workload) throws {
    let value = String(repeating: "x", count: workload.bytes)
    _ = try Program.output(of: Program.named("redis-cli"), ["-p", "\(port)", "set", Workload.key, value])
  }

  // MARK: Measuring

  /// The client with prepared commands, as with hiredis.
  func client(_ workload: Workload, seconds: Double) throws -> Measurement {
    try measurement(worker(workload, seconds: seconds))
  }

  /// The client under a counter of allocations, including those of creating the commands.
  func clientCountingAllocations(_ workload: Workload, seconds: Double) throws -> Measurement {
    try measurement(worker(workload, seconds: seconds) + ["--making-commands"], environment: ["LD_PRELOAD": preload.path])
  }

  private func worker(_ workload: Workload, seconds: Double) -> [String] {
    let executable = Bundle.main.executableURL ?? URL(filePath: CommandLine.arguments[0])
    return [executable.path, "worker", "--port", "\(port)", "--workload", workload.name, "--seconds", "\(seconds)"]
  }

  func hiredis(_ workload: Workload, seconds: Double) throws -> Measurement {
    let shape =
      switch workload.shape {
      case .callers(let count, _): ["window", "\(count)"]
      case .pipeline(let length, _): ["pipeline", "\(length)"]
      }
    return try measurement(
      [hiredis.path, "\(port)", workload.command.rawValue, "\(workload.bytes)"] + shape + ["\(seconds)"])
  }

  /// redis-benchmark on one connection, with a number of commands that takes about the given time.
  func redisBenchmark(_ workload: Workload, seconds: Double, expectedRate: Double) throws -> Measurement {
    let length =
      switch workload.shape {
      case .callers(let count, _): count
      case .pipeline(let length, _): length
      }
    let commands = max(length, Int(expectedRate * seconds) / length * length)
    let command =
      switch workload.command {
      case .get: ["GET", Workload.key]
      case .set: ["SET", Workload.key, String(repeating: "x", count: workload.bytes)]
      }
    let text = try pinned(
      [redisBenchmark.path, "-p", "\(port)", "-c", "1", "-P", "\(length)", "-n", "\(commands)", "--csv"] + command)
    // The second line has the command and its rate in quotation marks.
    guard let line = text.split(separator: "\n").last, let rate = line.split(separator: "\"").dropFirst(2).first.flatMap({ Double($0) })
    else { throw BenchmarkError("redis-benchmark has printed no rate: \(text)") }
    return Measurement(commands: commands, seconds: Double(commands) / rate)
  }

  private func measurement(_ command: [String], environment: [String: String] = [:]) throws -> Measurement {
    let text = try pinned(command, environment: environment)
    let numbers = text.split(whereSeparator: \.isWhitespace).compactMap { Int($0) }
    guard numbers.count >= 2 else { throw BenchmarkError("\(command[0]) has printed no measurement: \(text)") }
    return Measurement(
      commands: numbers[0], seconds: Double(numbers[1]) / 1e9, allocations: numbers.count > 2 ? numbers[2] : 0)
  }

  private func pinned(_ command: [String], environment: [String: String] = [:]) throws -> String {
    try Program.output(of: taskset, ["-c", Self.clientCore] + command, environment: environment)
  }
}
