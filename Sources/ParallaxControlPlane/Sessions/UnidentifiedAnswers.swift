import Synchronization

/// Ends the repetition of a refused answer that may be that of several tasks: its agent would send it over each further connection.
///
/// Each node counts by itself. The tasks that each of ``limit`` such answers in a row may have been those of fail, so that another attempt
/// can have a smaller result: most likely the answer is the same each time, and that of one of them.
package final class UnidentifiedAnswers: Sendable {
  /// The number of refused answers in a row after which the tasks fail.
  static let limit = 3
  /// The largest number of agents whose answers are counted.
  static let capacity = 1_000

  private let state = Mutex<[String: (tasks: Set<String>, count: Int)]>([:])

  package init() {}

  /// Counts a refused answer of an agent, which is that of one of some tasks.
  ///
  /// - Returns: The tasks that fail; none before the limit.
  func refused(_ tasks: Set<String>, by agent: String) -> Set<String> {
    state.withLock { agents in
      let known = agents.removeValue(forKey: agent)
      let common = known.map { $0.tasks.intersection(tasks) } ?? []
      let (suspects, count) = common.isEmpty ? (tasks, 1) : (common, (known?.count ?? 0) + 1)
      if count >= Self.limit { return suspects }
      // Agents that never came back would fill the table.
      if agents.count >= Self.capacity { agents = [:] }
      agents[agent] = (suspects, count)
      return []
    }
  }
}
