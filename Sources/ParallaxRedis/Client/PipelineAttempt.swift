/// A pipeline with incomplete results: the commands to send next, and their servers.
///
/// A pure value.
struct PipelineAttempt {
  /// A command without a result.
  struct Pending {
    var command: RedisCommand
    /// The server to which the last attempt was redirected.
    var redirection: Redirection?
    fileprivate var policy: RetryPolicy
    fileprivate let place: Int
  }

  struct Again {
    /// The pause before ``PipelineAttempt/pending`` is sent.
    var pause = Duration.zero
    /// The scripts that the server lacked.
    var unknownScripts: [RedisScript] = []
    /// Whether the server is a replica, which accepts no writes.
    var leavesConnection = false
  }

  enum Verdict {
    case done([Result<RESPValue, RedisError>])
    case cancelled
    /// Send ``PipelineAttempt/pending``.
    case again(Again)
  }

  /// The commands to send next, in order.
  private(set) var pending: [Pending]
  private var results: [Result<RESPValue, RedisError>?]
  /// A pipeline with MULTI or WATCH is sent again as a whole or not at all.
  ///
  /// Commands between MULTI and EXEC mean nothing without them, and a WATCH belongs to its UNWATCH.
  let isTransaction: Bool

  init(_ commands: [RedisCommand], followsRedirections: Bool = false) {
    isTransaction = Self.isTransaction(commands)
    pending = commands.enumerated().map { place, command in
      let policy = RetryPolicy(command, followsRedirections: followsRedirections)
      return Pending(command: command, redirection: nil, policy: policy, place: place)
    }
    results = Array(repeating: nil, count: commands.count)
  }

  /// Whether a pipeline has a transaction or a WATCH.
  static func isTransaction(_ commands: [RedisCommand]) -> Bool {
    commands.contains { $0.name == "MULTI" || $0.name == "WATCH" }
  }

  /// Decides after an attempt.
  ///
  /// - Parameters:
  ///   - outcomes: The outcome of each command of ``pending``, in order.
  ///   - remaining: The time until the caller's deadline.
  ///   - random: A number in `0..<1` that spreads the pauses.
  /// - Returns: The next step.
  mutating func judge(_ outcomes: [CommandOutcome], remaining: Duration, random: Double) -> Verdict {
    if isTransaction, let again = restart(after: outcomes, remaining: remaining, random: random) { return .again(again) }
    // A transaction may be repeated only if no part reached the server.
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

  /// Sends a transaction again as a whole if the server has refused it as a whole for a temporary reason.
  private mutating func restart(after outcomes: [CommandOutcome], remaining: Duration, random: Double) -> Again? {
    guard pending.first?.command.name == "MULTI", pending.last?.command.name == "EXEC",
      pending.count(where: { $0.command.name == "MULTI" }) == 1,
      // An error in place of EXEC's reply means that nothing between the two was executed.
      case .reply(.error)? = outcomes.last, !pending.contains(where: { $0.command.name == "DISCARD" })
    else { return nil }
    let slot = pending.lazy.compactMap(\.command.slot).first
    for index in pending.indices { pending[index].redirection = nil }
    for (index, outcome) in outcomes.enumerated() {
      switch pending[index].policy.judge(outcome, remaining: remaining, random: random) {
      case .pause(let pause): return Again(pause: pause)
      case .leave(let pause): return Again(pause: pause, leavesConnection: true)
      case .redirect(let redirection, let pause):
        // A transaction cannot span slots, and ASKING covers one command, so no transaction can run at a slot's future server.
        if redirection.slot != slot { return nil }
        if redirection.kind == .ask { return Again(pause: max(pause, Self.pauseOfMigration)) }
        pending[index].redirection = redirection
        return Again(pause: pause)
      case .reply, .fail, .cancelled, .sendSource, .reconnect: continue
      }
    }
    return nil
  }

  /// The first pause of a transaction that waits for the end of a slot's migration.
  private static let pauseOfMigration = Duration.milliseconds(20)

  /// No connection was available for the remaining commands.
  mutating func giveUp(_ error: RedisError) -> [Result<RESPValue, RedisError>] {
    for item in pending { results[item.place] = .failure(item.policy.unreachable(error)) }
    pending = []
    return collect()
  }

  private func collect() -> [Result<RESPValue, RedisError>] {
    results.map { result in
      guard let result else { preconditionFailure("a complete pipeline has no result for a command") }
      return result
    }
  }
}
