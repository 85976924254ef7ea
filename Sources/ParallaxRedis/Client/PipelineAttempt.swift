/// A pipeline on its way to complete results: which of its commands are to be sent next.
///
/// A pure value.
struct PipelineAttempt {
  enum Verdict {
    case done([Result<RESPValue, RedisError>])
    case cancelled
    /// Send ``PipelineAttempt/commands`` after a pause; the server lacked these scripts.
    case again(pause: Duration, unknown: [RedisScript])
  }

  /// What to send next, in order.
  private(set) var commands: [RedisCommand]
  private var policies: [RetryPolicy]
  /// The place of each of `commands` in the results.
  private var places: [Int]
  private var results: [Result<RESPValue, RedisError>?]
  /// Commands between MULTI and EXEC mean nothing without them, so nothing of such a pipeline is sent twice.
  private let isTransaction: Bool

  init(_ commands: [RedisCommand]) {
    self.commands = commands
    policies = commands.map(RetryPolicy.init)
    places = Array(commands.indices)
    results = Array(repeating: nil, count: commands.count)
    isTransaction = commands.contains { $0.name == "MULTI" }
  }

  mutating func judge(_ outcome: PipelineOutcome, remaining: Duration, random: Double) -> Verdict {
    if case .cancelled? = outcome.failure { return .cancelled }
    // A transaction may start afresh only if nothing of it has reached the server.
    let mayRepeat =
      !isTransaction || (outcome.replies.isEmpty && outcome.failure.map { if case .notSent = $0 { true } else { false } } ?? false)
    let time = mayRepeat ? remaining : .zero
    var next: (commands: [RedisCommand], policies: [RetryPolicy], places: [Int]) = ([], [], [])
    var pause = Duration.zero
    var unknown: [RedisScript] = []
    for (index, command) in commands.enumerated() {
      let part: CommandOutcome
      if index < outcome.replies.count {
        part = .reply(outcome.replies[index])
      } else if let failure = outcome.failure {
        part = .failed(failure)
      } else {
        preconditionFailure("a pipeline ended without a failure and without all its replies")
      }
      var policy = policies[index]
      var again = command
      switch policy.judge(part, remaining: time, random: random) {
      case .reply(let value):
        results[places[index]] = .success(value)
        continue
      case .fail(let error):
        results[places[index]] = .failure(error)
        continue
      case .cancelled: return .cancelled
      case .sendSource:
        if let script = command.script { unknown.append(script) }
        again = command.sendingSource
      case .pause(let wanted): pause = max(pause, wanted)
      case .reconnect: break
      }
      next.commands.append(again)
      next.policies.append(policy)
      next.places.append(places[index])
    }
    (commands, policies, places) = next
    return commands.isEmpty ? .done(collect()) : .again(pause: pause, unknown: unknown)
  }

  /// No connection could be had for the rest.
  mutating func giveUp(_ error: RedisError) -> [Result<RESPValue, RedisError>] {
    for (place, policy) in zip(places, policies) { results[place] = .failure(policy.unreachable(error)) }
    return collect()
  }

  private func collect() -> [Result<RESPValue, RedisError>] {
    results.map { result in
      guard let result else { preconditionFailure("a pipeline is done but has no result for a command") }
      return result
    }
  }
}
