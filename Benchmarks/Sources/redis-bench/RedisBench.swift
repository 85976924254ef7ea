import ArgumentParser
import BenchmarkSupport
import Foundation

/// The client against hiredis and redis-benchmark.
@main
struct RedisBench: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "redis-bench",
    abstract: "Commands per second of ParallaxRedis, hiredis and redis-benchmark, and what a command allocates.",
    discussion: """
      Starts a redis-server on one core, and on another core the programs in turn, one process for each measurement; with three rounds \
      or more the ratios of the medians mean something even where the machine has other work. Allocations are counted in a run of \
      their own, and more than the bound of a workload fail the command.
      """,
    subcommands: [Comparison.self, Worker.self], defaultSubcommand: Comparison.self)
}

struct Comparison: AsyncParsableCommand {
  static let configuration = CommandConfiguration(commandName: "compare", abstract: "Measures everything and prints the tables.")

  @Option(help: "Seconds of one measurement.")
  var seconds = 1.5

  @Option(help: "Rounds, in each of which all programs run.")
  var rounds = 3

  @Option(help: "Only this workload; may be repeated.")
  var workload: [String] = []

  @Flag(help: "Only count allocations.")
  var allocations = false

  func validate() throws {
    guard seconds >= 0.1, rounds > 0 else { throw ValidationError("--seconds starts at 0.1 and --rounds at 1") }
    for name in workload where !Workload.all.contains(where: { $0.name == name }) {
      throw ValidationError("There is no workload \(name): it is one of \(Workload.all.map(\.name).joined(separator: ", ")).")
    }
  }

  func run() async throws {
    let workloads = Workload.all.filter { workload.isEmpty || workload.contains($0.name) }
    let peers = try await Peers.start()
    defer { peers.stop() }
    var report = Report(rows: workloads.map { Report.Row(workload: $0) })
    for index in workloads.indices {
      try peers.setValue(of: workloads[index])
      report.rows[index].allocations = try peers.clientCountingAllocations(workloads[index], seconds: 0.5)
    }
    if !allocations {
      for round in 1...rounds {
        for index in workloads.indices { try measure(workloads[index], with: peers, into: &report.rows[index]) }
        FileHandle.standardError.write(Data("round \(round) of \(rounds)\n".utf8))
      }
      print(report.rates)
    }
    print(report.allocations)
    if let excess = report.excess { throw BenchmarkError(excess) }
  }

  private func measure(_ workload: Workload, with peers: Peers, into row: inout Report.Row) throws {
    try peers.setValue(of: workload)
    row.client.append(try peers.client(workload, seconds: seconds))
    let hiredis = try peers.hiredis(workload, seconds: seconds)
    row.hiredis.append(hiredis)
    row.redisBenchmark.append(try peers.redisBenchmark(workload, seconds: seconds, expectedRate: hiredis.rate))
  }
}
