/// A pipeline on its way to complete results: which of its commands are to be sent next, and where.
///
/// A pure value.
struct PipelineAttempt {
  /// A command that has no result yet.
  struct Pending {
    var command: RedisCommand
    /// The server that the last attempt was sent on to.
    var redirection: Redirection?
    fileprivate var policy: RetryPolicy
    fileprivate let place: Int
  }

  struct Again {
    /// Before ``PipelineAttempt/pending`` is sent.
    var pause = Duration.zero
    /// Scripts that the server lacked.
    var unknownScripts: [RedisScript] = []
    /// Whether the server takes no writes, as one does that has become a replica.
    var leavesConnection = false
  }

  enum Verdict {
    case done([Result<RESPValue, RedisError>])
    case cancelled
    /// Send ``PipelineAttempt/pending``.
    case again(Again)
  }

  /// What to send next, in order.
  private(set) var pending: [Pending]
  private var results: [Result<RESPValue, RedisError>?]
  /// Commands between MULTI and EXEC mean nothing without them, so nothing of such a pipeline is sent twice.
  let isTransaction: Bool

  init(_ commands: [RedisCommand], followsRedirections: Bool = false) {
    isTransaction = commands.contains { $0.name == "MULTI" }
    let follows = followsRedirections && !isTransaction
    pending = commands.enumerated().map { place, command in
      Pending(command: command, redirection: nil, policy: RetryPolicy(command, followsRedirections: follows), place: place)
    }
    results = Array(repeating: nil, count: commands.count)
  }

  /// Decides after an attempt.
  ///
  /// - Parameters:
  ///   - outcomes: What became of each of ``pending``, in their order.
  ///   - remaining: The time until the caller's deadline.
  ///   - random: A number in `0..<1` that spreads the pauses.
  /// - Returns: What to do next.
  mutating func judge(_ outcomes: [CommandOutcome], remaining: Duration, random: Double) -> Verdict {
    // A transaction may start afresh only if nothing of it has reached the server.
    let time = !isTransaction || outcomes.allSatisfy(\.isUnsent) ? remaining : .zero
    var next: [Pending] = []
    var again = Again()
    for (former, outcome) in zip(pending, outcomes) {
      var item = former
      item.redirection = nil
      switch item.policy.judge(outcome, remaining: time, random: random) {
      case .reply(let value):
        results[item.place] = .success(value)
        continue
      case .fail(let error):
        results[item.place] = .failure(error)
        continue
      case .cancelled: return .cancelled
      case .sendSource:
        if let script = item.command.script { again.unknownScripts.append(script) }
        item.command = item.command.sendingSource
      case .pause(let wanted): again.pause = max(again.pause, wanted)
      case .leave(let wanted):
        again.pause = max(again.pause, wanted)
        again.leavesConnection = true
      case .redirect(let redirection, let wanted):
        again.pause = max(again.pause, wanted)
        item.redirection = redirection
      case .reconnect: break
      }
      next.append(item)
    }
    pending = next
    return pending.isEmpty ? .done(collect()) : .again(again)
  }

  /// No connection could be had for the rest.
  mutating func giveUp(_ error: RedisError) -> [Result<RESPValue, RedisError>] {
    for item in pending { results[item.place] = .failure(item.policy.unreachable(error)) }
    pending = []
    return collect()
  }

  private func collect() -> [Result<RESPValue, RedisError>] {
    results.map { result in
      guard let result else { preconditionFailure("a pipeline is done but has no result for a command") }
      return result
    }
  }
}
