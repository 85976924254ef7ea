import Foundation

/// The tables that the benchmark prints, in Markdown.
struct Report {
  struct Row {
    let workload: Workload
    var client: [Measurement] = []
    var hiredis: [Measurement] = []
    var redisBenchmark: [Measurement] = []
    var allocations = Measurement(commands: 1, seconds: 0)

    var ratio: Double { Report.median(client) / Report.median(hiredis) }

    var allocationsPerCommand: Double { Double(allocations.allocations) / Double(allocations.commands) }
  }

  var rows: [Row]

  var rates: String {
    let rounds = rows.first?.client.count ?? 0
    var lines = ["", "Commands per second, medians of \(rounds) rounds:", ""]
    lines += Self.table(
      ["workload", "ParallaxRedis", "hiredis", "ratio", "target", "redis-benchmark"],
      rows.map { row in
        [
          row.workload.title, Self.decimal(Self.median(row.client), 0), Self.decimal(Self.median(row.hiredis), 0),
          Self.decimal(row.ratio, 2),
          row.workload.target.map { "≥ " + Self.decimal($0, 2) } ?? "–", Self.decimal(Self.median(row.redisBenchmark), 0),
        ]
      })
    return lines.joined(separator: "\n")
  }

  var allocations: String {
    var lines = ["", "Allocations per command, those for making it included:", ""]
    lines += Self.table(
      ["workload", "allocations", "bound"],
      rows.map { [$0.workload.title, Self.decimal($0.allocationsPerCommand, 2), Self.decimal($0.workload.allocations, 1)] })
    return lines.joined(separator: "\n")
  }

  /// The workloads that exceed their bound of allocations.
  var excess: String? {
    let names = rows.filter { $0.allocationsPerCommand > $0.workload.allocations }.map(\.workload.name)
    return names.isEmpty ? nil : "More allocations per command than the bound allows: \(names.joined(separator: ", "))."
  }

  private static func median(_ measurements: [Measurement]) -> Double {
    let rates = measurements.map(\.rate).sorted()
    guard let last = rates.indices.last else { return .nan }
    return (rates[last / 2] + rates[(last + 1) / 2]) / 2
  }

  private static func decimal(_ value: Double, _ digits: Int) -> String {
    value.formatted(.number.precision(.fractionLength(digits)).locale(Locale(identifier: "en_US")))
  }

  private static func table(_ titles: [String], _ rows: [[String]]) -> [String] {
    let lines = [titles, titles.indices.map { $0 == 0 ? "---" : "---:" }] + rows
    return lines.map { "| " + $0.joined(separator: " | ") + " |" }
  }
}
