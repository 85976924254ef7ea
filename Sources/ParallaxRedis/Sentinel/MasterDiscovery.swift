/// What to make of the sentinels' answers to the question where the master is.
///
/// A pure value, for one round of queries. Sentinels can disagree: a sentinel that was cut off still names the former master. Each failover
/// raises the epoch (the *configuration epoch* of the Sentinel documentation), so the answer with the greatest epoch counts. An epoch below
/// an earlier one is outdated, unless a majority of the sentinels has it: then an operator has set up the sentinels anew.
struct MasterDiscovery {
  enum Answer: Equatable {
    case master(RedisConfiguration.Endpoint, epoch: Int64)
    /// The sentinel does not watch a master of this name.
    case unknownName
    case failed(RedisError)
  }

  enum Decision: Equatable {
    case master(RedisConfiguration.Endpoint, epoch: Int64)
    case fail(RedisError)
  }

  private let masterName: String
  private let seenEpoch: Int64
  private let waitsForAll: Bool
  private var answers: [Answer?]

  /// Begins a round.
  ///
  /// - Parameters:
  ///   - masterName: The master that is asked for.
  ///   - sentinels: How many sentinels are asked.
  ///   - seenEpoch: The epoch of the last decision, 0 before the first.
  ///   - waitsForAll: Whether a majority is not enough, because one alone may know the latest.
  init(masterName: String, sentinels: Int, seenEpoch: Int64, waitsForAll: Bool = false) {
    self.waitsForAll = waitsForAll
    self.masterName = masterName
    self.seenEpoch = seenEpoch
    answers = Array(repeating: nil, count: sentinels)
  }

  /// Takes the answer of one sentinel; a decision once the others cannot be worth waiting for.
  mutating func answered(_ sentinel: Int, _ answer: Answer) -> Decision? {
    answers[sentinel] = answer
    if answers.allSatisfy({ $0 != nil }) { return decide() }
    guard !waitsForAll, let best, isMajority(masters.count), best.epoch >= seenEpoch else { return nil }
    return .master(best.endpoint, epoch: best.epoch)
  }

  /// The time for answers is up.
  func decide() -> Decision {
    if let best, best.epoch >= seenEpoch || isMajority(masters.filter { $0.epoch == best.epoch }.count) {
      return .master(best.endpoint, epoch: best.epoch)
    }
    return .fail(explanation)
  }

  private var masters: [(endpoint: RedisConfiguration.Endpoint, epoch: Int64)] {
    answers.compactMap { if case .master(let endpoint, let epoch) = $0 { (endpoint, epoch) } else { nil } }
  }

  private var best: (endpoint: RedisConfiguration.Endpoint, epoch: Int64)? {
    masters.max { $0.epoch < $1.epoch }
  }

  private func isMajority(_ count: Int) -> Bool {
    count * 2 > answers.count
  }

  private var explanation: RedisError {
    let failures = answers.compactMap { if case .failed(let error) = $0 { error } else { nil } }
    if let best {
      return RedisError(
        .connectionFailed,
        message:
          "Of the sentinels only such answer as name an outdated master for \(masterName), \(best.endpoint): see why the others do not.")
    }
    if answers.contains(.unknownName) {
      return RedisError(
        failures.isEmpty ? .invalidConfiguration : .connectionFailed,
        message: "No sentinel that answers watches a master named \(masterName): check the name and the sentinels.")
    }
    if let refused = failures.first(where: { $0.code == .authenticationFailed }) { return refused }
    return RedisError(
      .connectionFailed, message: "None of the \(answers.count) sentinels tells where the master \(masterName) is.",
      serverMessage: failures.first?.serverMessage, cause: failures.first)
  }
}
