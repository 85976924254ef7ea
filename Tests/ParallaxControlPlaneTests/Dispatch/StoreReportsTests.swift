import Logging
import ParallaxMetrics
import ParallaxState
import TestSupport
import Testing

@testable import ParallaxControlPlane

/// The lines of the log about a store, however many calls they cover.
@Suite struct StoreReportsTests {
  private let log = Recorder<String>()
  private let delayed = Recorder<@Sendable () -> Void>()
  private let reports: StoreReports

  init() throws {
    reports = StoreReports(
      metrics: try DispatchMetrics(registry: MetricsRegistry()), logger: Logger(label: "test") { [log] _ in LineHandler(lines: log) },
      later: { [delayed] in delayed.add($0) })
  }

  @Test func `Executions that have another owner are one line per second`() {
    for number in 0..<2_000 { reports.hasOtherOwner("exec_\(number)") }
    #expect(delayed.count == 1)
    for report in delayed.all { report() }
    #expect(log.all == ["warning: executions of this node have another owner now"])
    reports.hasOtherOwner("exec_later")
    #expect(delayed.count == 2)
  }

  @Test func `A refusal and its end are one line each`() {
    let refusal = StateStoreError(.refused, "WRONGPASS")
    for _ in 0..<3 {
      for _ in 0..<100 { reports.failed("change of an execution", refusal) }
      for _ in 0..<100 { reports.served() }
    }
    let lines = ["warning: the store refuses writes of this node", "notice: the store accepts writes of this node again"]
    #expect(log.all.filter { !$0.hasPrefix("debug") } == lines + lines + lines)
  }
}

/// Records the level and the message of each entry.
private struct LineHandler: LogHandler {
  let lines: Recorder<String>
  var metadata: Logger.Metadata = [:]
  var logLevel = Logger.Level.trace

  init(lines: Recorder<String>) {
    self.lines = lines
  }

  subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }

  func log(event: LogEvent) { lines.add("\(event.level): \(event.message)") }
}
