package import ParallaxAPI

/// Aggregates the results of an execution's tasks into one result.
///
/// The aggregation is deterministic, because a new owner may repeat it after a failover.
package enum Aggregator {
  /// Aggregates the completed tasks among `tasks`, in the order of their slots.
  ///
  /// Throws the failure that ends the execution, for instance if no task is completed or the results cannot be merged.
  package static func aggregate(_ aggregation: Aggregation, tasks: [TaskRecord]) throws(ExecutionFailure) -> JSONValue {
    let completed = tasks.filter { $0.state == .completed }.sorted { $0.slot < $1.slot }
    guard let earliest = completed.first else {
      throw ExecutionFailure(code: "AGGREGATION_FAILED", message: "there is no result to aggregate")
    }
    switch aggregation.strategy {
    case .first: return earliest.result ?? .null
    case .all: return ["results": .array(completed.map { $0.result ?? .null })]
    case .merge: return try merge(completed)
    case .voting: return try Ballot(completed, field: aggregation.field).decide(by: aggregation.method ?? .majority).result
    case .consensus: return try consensus(completed, aggregation)
    }
  }

  private static func merge(_ tasks: [TaskRecord]) throws(ExecutionFailure) -> JSONValue {
    var merged: [String: JSONValue] = [:]
    for task in tasks {
      guard case .object(let members)? = task.result else {
        throw ExecutionFailure(
          code: "AGGREGATION_FAILED", message: "merge needs objects, but the result of agent \(task.agentID) is not an object")
      }
      merged.merge(members) { _, later in later }
    }
    return .object(merged)
  }

  private static func consensus(_ tasks: [TaskRecord], _ aggregation: Aggregation) throws(ExecutionFailure) -> JSONValue {
    let threshold = aggregation.threshold ?? 1
    let outcome = try Ballot(tasks, field: aggregation.field).decide(by: aggregation.method ?? .majority)
    guard outcome.share >= threshold else {
      throw ExecutionFailure(
        code: "NO_CONSENSUS", message: "the greatest share of the votes is \(outcome.share), below the threshold of \(threshold)",
        details: ["votes": outcome.votes])
    }
    return outcome.result
  }
}

/// A vote over results, with a count and a confidence for each distinct value.
private struct Ballot {
  private struct Option {
    var value: JSONValue
    /// The result of the earliest task with this vote.
    var result: JSONValue
    var count = 0
    var confidence = 0.0
  }

  struct Outcome {
    var result: JSONValue
    /// The winner's share of all votes, weighted by the method.
    var share: Double
    var votes: JSONValue
  }

  /// The distinct votes, in the order of the first task of each.
  private var options: [Option] = []

  init(_ tasks: [TaskRecord], field: String?) throws(ExecutionFailure) {
    var indexes: [JSONValue: Int] = [:]
    for task in tasks {
      let result = task.result ?? .null
      guard let value = field.map({ result[$0] }) ?? result else { continue }
      let index = indexes[value] ?? options.count
      if index == options.count {
        indexes[value] = index
        options.append(Option(value: value, result: result))
      }
      options[index].count += 1
      options[index].confidence += task.confidence ?? 1
    }
    if options.isEmpty {
      throw ExecutionFailure(code: "AGGREGATION_FAILED", message: "no result has the member \"\(field ?? "")\" that the vote compares")
    }
  }

  func decide(by method: Aggregation.Method) throws(ExecutionFailure) -> Outcome {
    func weight(_ option: Option) -> Double { method == .majority ? Double(option.count) : option.confidence }
    var winner = options[0]
    for option in options.dropFirst()
    where weight(option) > weight(winner) || (weight(option) == weight(winner) && option.confidence > winner.confidence) {
      winner = option
    }
    let total = options.reduce(0) { $0 + weight($1) }
    let votes = JSONValue.object(Dictionary(options.map { ($0.value.label, .integer(Int64($0.count))) }) { first, _ in first })
    var members: [String: JSONValue] = ["result": winner.result]
    if case .object(let own) = winner.result { members = own }
    members["confidence"] = .number(winner.confidence / Double(winner.count))
    members["votes"] = votes
    return Outcome(result: .object(members), share: total > 0 ? weight(winner) / total : 0, votes: votes)
  }
}

extension JSONValue {
  /// The value as a member name: a string itself, any other value as JSON text.
  fileprivate var label: String {
    stringValue ?? (try? jsonText) ?? "null"
  }
}
