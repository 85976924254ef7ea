/// Chooses the master from the sentinels' answers.
///
/// A pure value, for one round of queries. Sentinels can disagree: an isolated sentinel still names the former master. Each failover raises
/// the epoch (the *configuration epoch* of the Sentinel documentation), so the answer with the greatest epoch is valid. An epoch below an
/// earlier one is outdated, unless a majority of the sentinels reports it: then an operator has set up the sentinels anew.
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
  ///   - masterName: The name of the master.
  ///   - sentinels: The number of sentinels that are asked.
  ///   - seenEpoch: The epoch of the last decision, 0 before the first.
  ///   - waitsForAll: Whether a majority does not suffice, because a single sentinel may know the latest state; `false` by default.
  init(masterName: String, sentinels: Int, seenEpoch: Int64, waitsForAll: Bool = false) {
    self.waitsForAll = waitsForAll
    self.masterName = masterName
    self.seenEpoch = seenEpoch
    answers = Array(repeating: nil, count: sentinels)
  }

  /// Adds the answer of one sentinel; returns a decision once further answers cannot change it.
  mutating func answered(_ sentinel: Int, _ answer: Answer) -> Decision? {
    answers[sentinel] = answer
    if answers.allSatisfy({ $0 != nil }) { return decide() }
    guard !waitsForAll, let best, isMajority(masters.count), best.epoch >= seenEpoch else { return nil }
    return .master(best.endpoint, epoch: best.epoch)
  }

  /// The decision at the end of the round's time.
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
          "The sentinels that answer name an outdated master for \(masterName), \(best.endpoint): check the other sentinels.")
    }
    if answers.contains(.unknownName) {
      return RedisError(
        failures.isEmpty ? .invalidConfiguration : .connectionFailed,
        message: "No sentinel that answers watches a master named \(masterName): check the name and the sentinels.")
    }
    if let refused = failures.first(where: { $0.code == .authenticationFailed }) { return refused }
    return RedisError(
      .connectionFailed, message: "None of the \(answers.count) sentinels names the master \(masterName).",
      serverMessage: failures.first?.serverMessage, cause: failures.first)
  }
}
