import ParallaxAPI
import ParallaxState

/// The outcomes that are being recorded: one for each task, however often its agent repeats it while the store does not answer.
///
/// Their size is bounded. An agent whose outcome is dropped keeps it, and sends it again after its next registration.
struct PendingRecords: Sendable {
  private struct Key: Hashable {
    var execution: String
    var task: String
    var agent: String

    init(_ outcome: TaskRecord, of execution: String) {
      (self.execution, task, agent) = (execution, outcome.id, outcome.agentID)
    }
  }

  private struct Entry {
    /// The id of the message that the acknowledgement answers.
    var messageID: String?
    var size: Int
  }

  /// The size in bytes beyond which outcomes of agents are dropped.
  static let byteLimit = 64 << 20

  private var entries: [Key: Entry] = [:]
  private var size = 0
  /// The agents whose outcomes were dropped.
  private var dropped: Set<String> = []

  /// Begins the recording of an outcome.
  ///
  /// - Parameters:
  ///   - outcome: The outcome.
  ///   - execution: Its execution.
  ///   - messageID: The id of the message with the outcome.
  ///   - isKept: Whether an agent of this node still has the outcome, so that it may be dropped.
  /// - Returns: Whether to record it: none of the same task is under way, and it is not dropped. The first outcome counts, and its
  ///   acknowledgement answers the latest message.
  mutating func begin(_ outcome: TaskRecord, of execution: String, messageID: String?, isKept: Bool) -> Bool {
    let key = Key(outcome, of: execution)
    guard entries[key] == nil else {
      entries[key]?.messageID = messageID
      return false
    }
    guard !isKept || size < Self.byteLimit else {
      dropped.insert(outcome.agentID)
      return false
    }
    entries[key] = Entry(messageID: messageID, size: outcome.size)
    size += outcome.size
    return true
  }

  /// Ends the recording of an outcome.
  ///
  /// - Returns: The id of the latest message with the outcome.
  mutating func end(_ outcome: TaskRecord, of execution: String) -> String? {
    guard let entry = entries.removeValue(forKey: Key(outcome, of: execution)) else { return nil }
    size -= entry.size
    return entry.messageID
  }

  /// Returns and forgets the agents whose outcomes were dropped, once there is room for these.
  mutating func takeDropped() -> [String] {
    guard !dropped.isEmpty, size <= Self.byteLimit / 2 else { return [] }
    defer { dropped = [] }
    return dropped.sorted()
  }
}
