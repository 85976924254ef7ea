import Logging
import ParallaxAPI
import ParallaxState
import ParallaxTesting
import TestSupport
import Testing

@testable import ParallaxControlPlane

/// What the log says of executions.
@Suite struct ActivityLogTests {
  private let clock = ManualClock()
  private let lines = Recorder<String>()
  private let log: ActivityLog

  init() {
    let lines = lines
    log = ActivityLog(clock: NodeClock(clock), logger: Logger(label: "test") { _ in FieldHandler(lines: lines) })
  }

  private func execution(_ status: ExecutionStatus, _ error: ExecutionFailure? = nil, id: String = "exec_1") -> Execution {
    var execution = Execution(
      id: id, pattern: World.pattern(), input: 1, createdAt: World.start, deadline: World.start + .seconds(60), owner: World.session)
    execution.status = status
    execution.error = error
    return execution
  }

  private static func situation(running: Int = 0) -> ActivityLog.Situation {
    ActivityLog.Situation(running: running, waiting: 1, agents: 2, role: "leader", term: 7)
  }

  private var failures: Int { lines.all.count { $0.hasPrefix("info: execution failed") } }

  @Test func aFailureIsLoggedWithItsPatternCodeAndError() {
    log.ended(execution(.failed, ExecutionFailure(code: "TASK_FAILED", message: "no\nsuch page")))
    log.ended(execution(.timedOut, ExecutionFailure(code: "TIMEOUT", message: "late"), id: "exec_2"))
    log.ended(execution(.completed, id: "exec_3"))
    let name = World.pattern().name
    #expect(
      lines.all == [
        "info: execution failed code=TASK_FAILED error=no\\nsuch page execution=exec_1 pattern=\(name)",
        "info: execution timed out code=TIMEOUT error=late execution=exec_2 pattern=\(name)",
        "debug: execution ended execution=exec_3 pattern=\(name) status=completed",
      ])
  }

  @Test func theCodeOfAnAgentIsCutAndHasNoControlCharacters() throws {
    log.ended(execution(.failed, ExecutionFailure(code: "X\u{1B}[2J\ninfo: " + String(repeating: "y", count: 10_000), message: "m")))
    let code = try #require(lines.all.first?.firstMatch(of: /code=(.*) error/)).output.1
    #expect(code.hasPrefix("X\\u{1B}[2J\\ninfo: yyy") && code.hasSuffix("y…") && code.count < 100)
  }

  @Test func anErrorIsCut() throws {
    log.ended(execution(.failed, ExecutionFailure(code: "X", message: String(repeating: "é", count: 10_000))))
    let error = try #require(lines.all.first?.firstMatch(of: /error=(.*) execution/)).output.1
    #expect(error.count == ActivityLog.errorLimit + 1 && error.hasSuffix("…"))
  }

  @Test func aFloodOfFailuresIsCountedAndAMinuteLaterListedAgain() {
    for number in 0..<1_000 { log.ended(execution(.failed, id: "exec_\(number)")) }
    #expect(failures == LogBudget.limit)
    #expect(lines.all.count { $0.hasPrefix("debug: execution ended") } == 1_000 - LogBudget.limit)
    clock.advance(by: .seconds(60))
    log.report(Self.situation())
    #expect(
      lines.all.last
        == "info: activity accepted=0 agents=2 ended=1000 failed=1000 role=leader running=0 seconds=60 term=7 timedOut=0 unlistedFailures=\(1_000 - LogBudget.limit) waiting=1"
    )
    log.ended(execution(.failed, id: "exec_later"))
    #expect(failures == LogBudget.limit + 1)
  }

  @Test func aMinuteWithoutWorkHasNoLine() {
    log.report(Self.situation())
    #expect(lines.count == 0)
    log.report(Self.situation(running: 1))
    #expect(lines.count == 1, "an execution that hangs is work")
    log.accepted()
    log.report(Self.situation())
    log.report(Self.situation())
    #expect(lines.count == 2, "what was counted is not counted again")
    #expect(lines.all.last?.contains("accepted=1 ") == true)
  }
}

/// Records the level, the message and the sorted fields of each entry.
struct FieldHandler: LogHandler {
  let lines: Recorder<String>
  var metadata = Logger.Metadata()
  var logLevel = Logger.Level.trace

  init(lines: Recorder<String>) {
    self.lines = lines
  }

  func log(event: LogEvent) {
    let fields = (event.metadata ?? [:]).sorted { $0.key < $1.key }.map { " \($0.key)=\($0.value)" }.joined()
    lines.add("\(event.level): \(event.message)\(fields)")
  }

  subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }
}
