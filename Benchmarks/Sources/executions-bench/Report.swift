import Foundation

/// The table that the benchmark prints.
struct Report {
  struct Row {
    var store: String
    var round: Round
  }

  var rows: [Row]
  var connections: Int
  var agents: Int
  var asynchronous: Bool

  var text: String {
    let answer = asynchronous ? "the 202" : "the result"
    var lines = ["", "\(connections) callers waiting for \(answer), \(agents) agents; the round with the median rate", ""]
    let titles = [
      "store", "executions/s", "p50 ms", "p99 ms", "failed", "node µs", "redis µs", "generator µs", "redis commands", "node, of a core",
    ]
    lines += Self.aligned([titles] + rows.map(cells))
    lines += ["", "µs and commands: processor time and Redis commands per execution; Redis also counts the commands of scripts."]
    for row in rows {
      guard let commands = row.round.redisCommands, !commands.calls.isEmpty else { continue }
      let named = commands.calls.sorted { ($0.value, $1.key) > ($1.value, $0.key) }
        .map { (name: $0.key, perExecution: Double($0.value) / Double(max(1, row.round.executions))) }
        .filter { $0.perExecution >= 0.05 }
      lines.append("\(row.store): " + named.map { "\($0.name) \(Self.decimal($0.perExecution, 2))" }.joined(separator: ", "))
    }
    return lines.joined(separator: "\n")
  }

  private func cells(_ row: Row) -> [String] {
    let round = row.round
    func perExecution(_ time: Duration?) -> String {
      time.map { Self.decimal($0 / .microseconds(1) / Double(max(1, round.executions)), 0) } ?? "-"
    }
    func percentile(_ share: Double) -> String {
      guard let last = round.latencies.indices.last else { return "-" }
      return Self.decimal(Double(round.latencies[min(last, Int(Double(round.latencies.count) * share))]) / 1_000, 2)
    }
    let commands = round.redisCommands.map { $0.calls.values.reduce(0, +) }
    return [
      row.store, Self.decimal(round.executionsPerSecond, 0), percentile(0.5), percentile(0.99), "\(round.failures)",
      perExecution(round.nodeTime), perExecution(round.redisTime), perExecution(round.generatorTime),
      commands.map { Self.decimal(Double($0) / Double(max(1, round.executions)), 1) } ?? "-",
      Self.decimal(round.nodeTime / .seconds(1) / round.seconds * 100, 0) + " %",
    ]
  }

  /// A number with a fixed number of decimals.
  private static func decimal(_ value: Double, _ digits: Int) -> String {
    value.formatted(.number.precision(.fractionLength(digits)).grouping(.never))
  }

  private static func aligned(_ rows: [[String]]) -> [String] {
    let widths = rows[0].indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
    return rows.map { row in
      row.enumerated().map { column, cell in
        let padding = String(repeating: " ", count: widths[column] - cell.count)
        return column == 0 ? cell + padding : padding + cell
      }.joined(separator: "  ")
    }
  }
}
