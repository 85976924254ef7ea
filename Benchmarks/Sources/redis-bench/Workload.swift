/// What is sent how: the same for the client and for its peers.
struct Workload: Sendable {
  enum Command: String {
    case get, set
  }

  enum Shape {
    /// Callers that wait for a reply before they send the next command, all on one connection.
    case callers(Int, onLoop: Bool)
    /// One caller that sends so many commands at a time.
    case pipeline(Int)
  }

  let name: String
  let title: String
  let command: Command
  let bytes: Int
  let shape: Shape
  /// What the client must reach, as a share of what hiredis does.
  let target: Double?
  /// How many allocations a command may cost.
  let allocations: Double

  static let all = [
    Workload(
      name: "one", title: "GET, one caller", command: .get, bytes: 16, shape: .callers(1, onLoop: false), target: 0.85, allocations: 8),
    Workload(
      name: "one-on-loop", title: "GET, one caller on the loop's executor", command: .get, bytes: 16, shape: .callers(1, onLoop: true),
      target: 0.85, allocations: 8),
    Workload(
      name: "tasks", title: "GET, 64 tasks", command: .get, bytes: 16, shape: .callers(64, onLoop: false), target: 0.6, allocations: 8),
    Workload(
      name: "tasks-on-loop", title: "GET, 64 tasks on the loop's executor", command: .get, bytes: 16,
      shape: .callers(64, onLoop: true), target: 0.85, allocations: 8),
    Workload(
      name: "pipeline-100", title: "GET, pipelines of 100", command: .get, bytes: 16, shape: .pipeline(100), target: 1, allocations: 8),
    Workload(
      name: "pipeline-10", title: "GET, pipelines of 10", command: .get, bytes: 16, shape: .pipeline(10), target: nil, allocations: 8),
    Workload(
      name: "set-tasks", title: "SET of 1 KiB, 64 tasks", command: .set, bytes: 1_024, shape: .callers(64, onLoop: false), target: nil,
      allocations: 8),
    Workload(
      name: "set-tasks-on-loop", title: "SET of 1 KiB, 64 tasks on the loop's executor", command: .set, bytes: 1_024,
      shape: .callers(64, onLoop: true), target: nil, allocations: 8),
  ]

  /// The key that all programs read and write.
  static let key = "bench:value"
}
