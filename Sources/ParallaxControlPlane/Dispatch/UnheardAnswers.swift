/// The acknowledgements of outcomes that found their agents disconnected; an agent that returns with such a task gets its acknowledgement.
///
/// An agent keeps a result until then, and a result whose message ends the connection would end each further one.
struct UnheardAnswers: Sendable {
  /// The largest number of tasks that are kept for an agent; later ones are acknowledged when the agent repeats their outcomes.
  static let capacity = 1_000

  private var tasks: [String: Set<String>] = [:]

  /// Keeps the acknowledgement of a task.
  mutating func add(_ task: String, for agent: String) {
    if tasks[agent]?.count ?? 0 < Self.capacity { tasks[agent, default: []].insert(task) }
  }

  /// Returns the tasks to acknowledge to an agent that has returned with the reported tasks, nil if it cannot report them, and forgets all.
  mutating func take(for agent: String, among reported: [String]?) -> [String] {
    guard let unheard = tasks.removeValue(forKey: agent) else { return [] }
    return (reported.map { unheard.intersection($0) } ?? unheard).sorted()
  }

  /// Forgets an agent that is given up.
  mutating func forget(_ agent: String) { tasks[agent] = nil }
}
