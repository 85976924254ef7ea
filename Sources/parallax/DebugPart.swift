/// A file of the archive that `parallax debug` writes, of each node.
enum DebugPart: String, CaseIterable {
  case health = "health.json"
  case status = "status.json"
  case diagnosis = "diagnosis.json"
  case queues = "queues.json"
  case metricsBefore = "metrics-before.txt"
  case metricsAfter = "metrics-after.txt"
  case events = "events.jsonl"
  case process = "process.json"
  case configuration = "configuration.yaml"
  case log = "log.txt"

  /// What is in the file.
  var summary: String {
    switch self {
    case .health: "whether the node is ready, with the reason"
    case .status: "the members, the leader and its lease"
    case .diagnosis: "every check of parallax doctor, with its finding"
    case .queues: "the number of executions that wait and run, by capabilities"
    case .metricsBefore: "the metrics at the beginning"
    case .metricsAfter: "the metrics at the end"
    case .events: "the events of executions, agents and the cluster meanwhile: ids and states, no inputs or results"
    case .process: "memory, threads and open files"
    case .configuration: "the configuration in force, with *** in place of secrets"
    case .log: "what the node logs meanwhile, at level debug whatever its own level is"
    }
  }

  /// The scope that the key needs; nil for what everybody may ask, unless `security.protectStatus` is on.
  var scope: String? {
    switch self {
    case .health, .status, .metricsBefore, .metricsAfter: nil
    case .diagnosis, .queues, .events: "read"
    case .process, .configuration, .log: "admin"
    }
  }

  /// What is in `contents.json`, which no node is asked for.
  static let contents = "the versions, the nodes that were asked, and what is missing, with the reason"

  /// The files of an archive, as `--list` shows them.
  static var table: Table {
    Table(
      "FILE", "SCOPE", "CONTENTS",
      rows: [["contents.json", "", .init(contents)]] + allCases.map { ["node-N/\($0.rawValue)", .init($0.scope ?? ""), .init($0.summary)] })
  }
}
