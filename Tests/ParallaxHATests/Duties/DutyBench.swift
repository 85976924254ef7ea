import CoreMetrics
import Logging
import ParallaxConcurrency
import ParallaxHA
import ParallaxTesting
import Synchronization

/// Duties on a manual clock, with a record of their runs.
final class DutyBench: Sendable {
  struct Run: Sendable {
    var token: FencingToken
    var begin: ManualClock.Instant
  }

  private struct State {
    var runs: [Run] = []
    var waiting: [(number: Int, continuation: UnsafeContinuation<Run?, Never>)] = []
  }

  let clock = ManualClock()
  let log = RecordedLog()
  let metrics = RecordedMetrics()
  private let state = Mutex(State())

  var begins: [ManualClock.Instant] { state.withLock { $0.runs.map(\.begin) } }

  /// The work of a duty: records its beginning.
  @Sendable func note(_ token: FencingToken) {
    let run = Run(token: token, begin: clock.now)
    let waiting = state.withLock { state in
      state.runs.append(run)
      let index = state.waiting.firstIndex { $0.number == state.runs.count }
      return index.map { state.waiting.remove(at: $0).continuation }
    }
    waiting?.resume(returning: run)
  }

  /// Waits until a run has begun; the first run has the number 1.
  func run(number: Int) async throws -> Run {
    let run = await suspend { (continuation: UnsafeContinuation<Run?, Never>) in
      let run: Run? = state.withLock { state in
        if state.runs.count >= number { return state.runs[number - 1] }
        state.waiting.append((number, continuation))
        return nil
      }
      if let run { continuation.resume(returning: run) }
    } onCancel: {
      let waiting = state.withLock { state in
        defer { state.waiting = [] }
        return state.waiting
      }
      for waiter in waiting { waiter.continuation.resume(returning: nil) }
    }
    guard let run else { throw CancellationError() }
    return run
  }

  /// Waits until a task sleeps, and moves the time to the first deadline.
  func passTime() async throws {
    try await clock.sleepers()
    if let next = clock.nextDeadline { clock.advance(by: clock.now.duration(to: next)) }
  }

  func run(_ duty: LeaderDuty, _ body: () async throws -> Void) async throws { try await run([duty], body) }

  /// Runs the duties of a term during a body.
  func run(_ duties: [LeaderDuty], _ body: () async throws -> Void) async throws {
    let runner = LeaderDuties(duties, clock: clock, logger: Logger(label: "test") { [log] _ in log }, metrics: metrics)
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { await runner.run(FencingToken(term: 7, incarnation: "a")) }
      try await body()
      group.cancelAll()
    }
  }
}

extension [ManualClock.Instant] {
  var adjacentDistances: [Duration] { zip(self, dropFirst()).map { $0.duration(to: $1) } }
}

/// Lets one caller pass per opening.
final class Gate: Sendable {
  private let stream: AsyncStream<Void>
  private let continuation: AsyncStream<Void>.Continuation

  init() { (stream, continuation) = AsyncStream.makeStream() }

  func open() { continuation.yield() }

  func pass() async { for await _ in stream { break } }
}

/// Records the levels, messages and fields of log entries.
final class RecordedLog: LogHandler {
  private let recorded = Mutex<[(level: Logger.Level, text: String)]>([])

  var levels: [Logger.Level] { recorded.withLock { $0.map(\.level) } }
  /// The message of each entry with its fields by name.
  var texts: [String] { recorded.withLock { $0.map(\.text) } }
  var metadata: Logger.Metadata {
    get { [:] }
    set {}
  }
  var logLevel: Logger.Level {
    get { .trace }
    set {}
  }

  subscript(metadataKey _: String) -> Logger.Metadata.Value? {
    get { nil }
    set {}
  }

  func log(event: LogEvent) {
    let fields = (event.metadata ?? [:]).sorted { $0.key < $1.key }.map { " \($0.key)=\($0.value)" }.joined()
    recorded.withLock { $0.append((event.level, "\(event.message)\(fields)")) }
  }
}

/// Records counts and times, by label and dimensions.
final class RecordedMetrics: MetricsFactory {
  private final class Handler: CounterHandler, TimerHandler, FloatingPointCounterHandler, RecorderHandler {
    let value = Mutex<(sum: Int64, times: Int)>((0, 0))

    func increment(by amount: Int64) { value.withLock { $0 = ($0.sum + amount, $0.times + 1) } }
    func increment(by amount: Double) { increment(by: Int64(amount)) }
    func recordNanoseconds(_ duration: Int64) { increment(by: duration) }
    func record(_ value: Int64) { increment(by: value) }
    func record(_ value: Double) { increment(by: Int64(value)) }
    func reset() {}
  }

  private let handlers = Mutex<[String: Handler]>([:])

  func count(_ duty: String, _ outcome: String) -> Int64 {
    handler("parallax_ha_duty_runs_total", [("duty", duty), ("outcome", outcome)]).value.withLock { $0.sum }
  }

  func timings(_ duty: String) -> Int {
    handler("parallax_ha_duty_seconds", [("duty", duty)]).value.withLock { $0.times }
  }

  private func handler(_ label: String, _ dimensions: [(String, String)]) -> Handler {
    handlers.withLock { handlers in
      let key = "\(label)\(dimensions)"
      let handler = handlers[key] ?? Handler()
      handlers[key] = handler
      return handler
    }
  }

  func makeCounter(label: String, dimensions: [(String, String)]) -> any CounterHandler { handler(label, dimensions) }
  func makeFloatingPointCounter(label: String, dimensions: [(String, String)]) -> any FloatingPointCounterHandler {
    handler(label, dimensions)
  }
  func makeRecorder(label: String, dimensions: [(String, String)], aggregate: Bool) -> any RecorderHandler { handler(label, dimensions) }
  func makeTimer(label: String, dimensions: [(String, String)]) -> any TimerHandler { handler(label, dimensions) }
  func makeMeter(label: String, dimensions: [(String, String)]) -> any MeterHandler { preconditionFailure("no meter is used") }
  func destroyCounter(_ handler: any CounterHandler) {}
  func destroyFloatingPointCounter(_ handler: any FloatingPointCounterHandler) {}
  func destroyRecorder(_ handler: any RecorderHandler) {}
  func destroyTimer(_ handler: any TimerHandler) {}
  func destroyMeter(_ handler: any MeterHandler) {}
}
