import ParallaxAPI

/// Executions as tables.
enum ExecutionTables {
  static func list(_ page: ExecutionList) -> [Table] { page.executions.isEmpty ? [] : [rows(page.executions)] }

  /// The rows of a list; ages are from `now`.
  static func rows(_ executions: [ExecutionDocument], at now: Timestamp = .now) -> Table {
    let rows = executions.map { execution -> [Table.Cell] in
      [
        Table.Cell(execution.executionId), "\(execution.pattern.name)", status(execution.status),
        "\(Duration.milliseconds(now.milliseconds - execution.createdAt.milliseconds).shortText)", duration(execution.duration),
        "\(execution.nodeId)",
      ]
    }
    return Table("ID", "PATTERN", "STATUS", "AGE", "DURATION", "NODE", rows: rows)
  }

  static func details(_ execution: ExecutionDocument) -> [Table] {
    var rows: [[Table.Cell]] = [
      ["Execution", "\(execution.executionId)"],
      ["Pattern", "\(execution.pattern.name) \(execution.pattern.version)"],
      ["Status", status(execution.status)],
      ["Created", "\(execution.createdAt)"],
      ["Duration", duration(execution.duration)],
      ["Node", "\(execution.nodeId)"],
    ]
    if let error = execution.error { rows.append(["Error", "\(error.message) (\(error.code))"]) }
    if let result = execution.result { rows.append(["Result", json(result)]) }
    let agents = execution.agents.map { part -> [Table.Cell] in
      [
        "\(part.id)", "\(part.status)", duration(part.duration), "\(part.confidence.map { "\($0)" } ?? "-")",
        part.result.map(json) ?? Table.Cell(part.error?.message ?? "-"),
      ]
    }
    let parts = Table("AGENT", "STATUS", "DURATION", "CONFIDENCE", "RESULT", rows: agents)
    return [Table(rows: rows)] + (agents.isEmpty ? [] : [parts])
  }

  static func acceptance(_ accepted: ExecutionAcceptance) -> [Table] {
    [
      Table(rows: [
        ["Execution", "\(accepted.executionId)"], ["Status", status(accepted.status)],
        ["Result", "parallax executions get \(accepted.executionId)"],
      ])
    ]
  }

  static func status(_ status: ExecutionStatus) -> Table.Cell {
    let style: Style =
      switch status {
      case .completed: .good
      case .failed, .cancelled, .timedOut: .bad
      case .pending, .running, .aggregating: .waiting
      }
    return Table.Cell(status.rawValue, style: style)
  }

  private static func duration(_ duration: WireDuration?) -> Table.Cell {
    Table.Cell(duration.map { $0.duration.shortText } ?? "-")
  }

  /// JSON from a node can be written as JSON again: it has no number that JSON cannot express.
  private static func json(_ value: JSONValue) -> Table.Cell {
    Table.Cell((try? JSON.text(value)) ?? "-")
  }
}
