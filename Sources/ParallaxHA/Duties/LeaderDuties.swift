package import CoreMetrics
public import Logging
import ParallaxConcurrency

/// Runs all duties of a leader for a term: the body for ``LeaderElection/campaign(_:)``.
///
/// Duties run concurrently; runs of one duty never overlap. A failed run is logged, counted, and repeated after the duty's interval: it
/// stops neither the other duties nor the term. At the end of the term all duties are cancelled, and ``run(_:)`` returns when all have
/// ended.
///
/// Through swift-metrics it counts `parallax_ha_duty_runs_total` by `duty` and `outcome` (`success`, `failure` or `cancelled`), and times
/// the runs as `parallax_ha_duty_seconds` by `duty`.
public struct LeaderDuties<DutyClock: Clock>: Sendable where DutyClock.Duration == Duration {
  private let duties: [LeaderDuty]
  private let clock: DutyClock
  private let logger: Logger
  private let metrics: any MetricsFactory

  /// Creates the duties of a leader, which run during its terms only.
  ///
  /// - Parameters:
  ///   - duties: The duties.
  ///   - clock: The clock of the intervals.
  ///   - logger: The logger of failures: the first in a row is a warning, further ones are at debug level.
  public init(_ duties: [LeaderDuty], clock: DutyClock, logger: Logger = Logger(label: "parallax.duties")) {
    self.init(duties, clock: clock, logger: logger, metrics: MetricsSystem.factory)
  }

  /// Creates the duties of a leader on the system's continuous clock, which run during its terms only.
  ///
  /// - Parameters:
  ///   - duties: The duties.
  ///   - logger: The logger of failures.
  public init(_ duties: [LeaderDuty], logger: Logger = Logger(label: "parallax.duties")) where DutyClock == ContinuousClock {
    self.init(duties, clock: ContinuousClock(), logger: logger)
  }

  package init(_ duties: [LeaderDuty], clock: DutyClock, logger: Logger, metrics: any MetricsFactory) {
    self.duties = duties
    self.clock = clock
    self.logger = logger
    self.metrics = metrics
  }

  /// Runs the duties until the task is cancelled, and returns when all of them have ended.
  ///
  /// - Parameter token: The fencing token of the term, which each duty receives.
  public func run(_ token: FencingToken) async {
    await withDiscardingTaskGroup { group in
      for duty in duties {
        group.addTask { await perform(duty, in: token) }
      }
      // A term without duties also lasts until its end.
      try? await WakeUp().wait()
    }
  }

  private func perform(_ duty: LeaderDuty, in token: FencingToken) async {
    let (id, hurry) = duty.trigger.listen()
    defer { duty.trigger.stopListening(id) }
    var tally = DutyTally(duty, token, logger: logger, metrics: metrics)
    var isHurried = false
    do {
      if !duty.startsAtOnce { isHurried = try await rest(after: duty, unless: hurry) }
      while !Task.isCancelled {
        // A later fire may have a reason that this run does not see.
        hurry.silence()
        let begin = clock.now
        let outcome = await tally.outcome(of: { try await duty.work(token) })
        tally.count(outcome, begin.duration(to: clock.now))
        isHurried = try await rest(after: duty, unless: hurry)
      }
      // The fire ended the rest, and the term ended before the run began.
      if isHurried { hurry.signal() }
    } catch {
      // The term ended during a rest.
    }
  }

  /// The jitter keeps duties from running in step.
  ///
  /// - Returns: Whether a fire ended the rest.
  /// - Throws: `CancellationError` at the end of the term.
  private func rest(after duty: LeaderDuty, unless hurry: WakeUp) async throws -> Bool {
    try await hurry.wait(until: clock.now.advanced(by: duty.interval * Double.random(in: 1...1.2)), on: clock)
  }
}

/// The outcomes of a duty's runs in one term.
private struct DutyTally {
  enum Outcome {
    case success, cancelled
    case failure(any Error)
  }

  private let logger: Logger
  private let successes: Counter
  private let failures: Counter
  private let cancellations: Counter
  private let timer: Timer
  private var isFailing = false

  init(_ duty: LeaderDuty, _ token: FencingToken, logger: Logger, metrics: any MetricsFactory) {
    func counter(_ outcome: String) -> Counter {
      Counter(label: "parallax_ha_duty_runs_total", dimensions: [("duty", duty.name), ("outcome", outcome)], factory: metrics)
    }
    var logger = logger
    logger[metadataKey: "duty"] = "\(duty.name)"
    logger[metadataKey: "term"] = "\(token.term)"
    self.logger = logger
    successes = counter("success")
    failures = counter("failure")
    cancellations = counter("cancelled")
    timer = Timer(label: "parallax_ha_duty_seconds", dimensions: [("duty", duty.name)], factory: metrics)
  }

  func outcome(of work: () async throws -> Void) async -> Outcome {
    do {
      try await work()
      return .success
    } catch {
      return Task.isCancelled ? .cancelled : .failure(error)
    }
  }

  mutating func count(_ outcome: Outcome, _ duration: Duration) {
    timer.recordSeconds(duration / .seconds(1))
    switch outcome {
    case .success:
      successes.increment()
      if isFailing { logger.info("a leader's duty succeeds again") }
      isFailing = false
    case .cancelled:
      cancellations.increment()
    case .failure(let error):
      failures.increment()
      logger.log(
        level: isFailing ? .debug : .warning, "a leader's duty failed; it runs again after its interval",
        metadata: ["error": "\(error)"])
      isFailing = true
    }
  }
}
