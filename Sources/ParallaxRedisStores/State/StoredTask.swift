import ParallaxAPI
import ParallaxRedis
import ParallaxState

/// The JSON of a task in its field, which has the task's id as its name.
///
/// The scripts prepend `order`, the task's place among the execution's tasks, since a hash keeps no order. A null result differs from a
/// missing one, which the synthesized coding would not preserve.
struct StoredTask: Decodable, JSONWritable {
  private enum CodingKeys: String, CodingKey {
    case agent, attempt, confidence, duration, error, order, result, retryable, slot, state
  }

  private let order: Int
  private var task: TaskRecord

  init(_ task: TaskRecord) {
    order = 0
    self.task = task
  }

  init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    order = try container.decode(Int.self, forKey: .order)
    task = TaskRecord(
      id: "", agentID: try container.decode(String.self, forKey: .agent), slot: try container.decode(Int.self, forKey: .slot),
      attempt: try container.decode(Int.self, forKey: .attempt), state: try container.decode(TaskRecord.State.self, forKey: .state),
      result: container.contains(.result) ? try container.decode(JSONValue.self, forKey: .result) : Optional.none,
      confidence: try container.decodeIfPresent(Double.self, forKey: .confidence),
      error: try container.decodeIfPresent(ExecutionFailure.self, forKey: .error),
      retryable: try container.decodeIfPresent(Bool.self, forKey: .retryable),
      duration: try container.decodeIfPresent(WireDuration.self, forKey: .duration)?.duration)
  }

  func write(to json: inout JSONWriter) {
    json.object { json in
      json.member("agent", task.agentID)
      json.member("attempt", task.attempt)
      json.member("confidence", task.confidence)
      json.member("duration", task.duration)
      json.member("error", task.error)
      json.member("result", task.result)
      json.member("retryable", task.retryable)
      json.member("slot", task.slot)
      json.member("state", task.state)
    }
  }

  /// The ids and JSON texts that the scripts take.
  static func arguments(_ tasks: [TaskRecord]) throws -> [RedisArgument] {
    var arguments: [RedisArgument] = []
    arguments.reserveCapacity(2 * tasks.count)
    for task in tasks {
      arguments.append(RedisArgument(task.id))
      arguments.append(RedisArgument(try StoredValue.bytes(StoredTask(task), "task \(task.id)")))
    }
    return arguments
  }

  /// Reads the hash of an execution's tasks.
  static func list(_ hash: RESPValue, of what: String) throws -> [TaskRecord] {
    guard let fields = hash.map else { throw StateStoreError.unexpected(hash, of: "the tasks of \(what)") }
    var all: [StoredTask] = []
    all.reserveCapacity(fields.count)
    for (id, value) in fields {
      var stored: StoredTask = try StoredValue.decode(value.string ?? "", "task \(id) of \(what)")
      stored.task.id = id
      all.append(stored)
    }
    return all.sorted { $0.order < $1.order }.map(\.task)
  }
}

/// The outcome of a task, without the task's place in the execution.
struct StoredOutcome: JSONWritable {
  private let task: TaskRecord

  init(_ task: TaskRecord) {
    self.task = task
  }

  func write(to json: inout JSONWriter) {
    json.object { json in
      json.member("agent", task.agentID)
      json.member("confidence", task.confidence)
      json.member("duration", task.duration)
      json.member("error", task.error)
      json.member("result", task.result)
      json.member("retryable", task.retryable)
      json.member("state", task.state)
    }
  }
}
