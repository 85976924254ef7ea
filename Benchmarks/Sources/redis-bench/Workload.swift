/// The commands and their concurrency: the same for the client and its peers.
struct Workload: Sendable {
  enum Command: String {
    case get, set
  }

  enum Shape {
    /// Callers that wait for a reply before they send the next command, all on one connection.
    case callers(Int, onLoop: Bool)
    /// One caller that sends this many commands at a time.
    case pipeline(Int, onLoop: Bool)
  }

  let name: String
  let title: String
  let command: Command
  let bytes: Int
  let shape: Shape
  /// The required share of hiredis's rate.
  let target: Double?
  /// The maximum number of allocations per command.
  let allocations: Double

  static let all = [
    get("one", "GET, one caller", .callers(1, onLoop: false), target: 0.85, allocations: 5),
    get("one-on-loop", "GET, one caller on the loop's executor", .callers(1, onLoop: true), target: 0.85, allocations: 1.5),
    get("tasks", "GET, 64 tasks", .callers(64, onLoop: false), target: 0.6, allocations: 3),
    get("tasks-on-loop", "GET, 64 tasks on the loop's executor", .callers(64, onLoop: true), target: 0.85, allocations: 1.5),
    get("pipeline-100", "GET, pipelines of 100", .pipeline(100, onLoop: false), target: 1, allocations: 2),
    get("pipeline-100-on-loop", "GET, pipelines of 100 on the loop's executor", .pipeline(100, onLoop: true), target: 1, allocations: 2),
    get("pipeline-10", "GET, pipelines of 10", .pipeline(10, onLoop: false), allocations: 3),
    set("set-tasks", "SET of 1 KiB, 64 tasks", .callers(64, onLoop: false), allocations: 4),
    set("set-tasks-on-loop", "SET of 1 KiB, 64 tasks on the loop's executor", .callers(64, onLoop: true), allocations: 3),
  ]

  private static func get(_ name: String, _ title: String, _ shape: Shape, target: Double? = nil, allocations: Double) -> Workload {
    Workload(name: name, title: title, command: .get, bytes: 16, shape: shape, target: target, allocations: allocations)
  }

  private static func set(_ name: String, _ title: String, _ shape: Shape, allocations: Double) -> Workload {
    Workload(name: name, title: title, command: .set, bytes: 1_024, shape: shape, target: nil, allocations: allocations)
  }

  /// The key that all programs read and write.
  static let key = "bench:value"
}
