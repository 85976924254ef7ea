import CoreMetrics
import Foundation
import ParallaxMetrics
import Testing

private let promtool = "/usr/bin/promtool"

@Suite struct PromtoolTests {
  /// Prometheus's own reader and linter, over every kind of metric and every odd name.
  @Test(.enabled(if: FileManager.default.isExecutableFile(atPath: promtool)))
  func `Prometheus reads the text and has nothing to remark`() throws {
    let registry = MetricsRegistry(seriesLimit: 3)
    try registry.registerProcessMetrics()
    try registry.gauge("level_ratio", help: "A \"level\"\nof C:\\.", labels: ["path"]).with("C:\\ \"x\"\né").set(.nan)
    try registry.counter("jobs_total", help: "Jobs.") { [MetricSample(.infinity)] }
    try registry.summary("sync_seconds", help: "Syncs.").with().observe(0.5)
    let factory = PrometheusMetricsFactory(registry)
    for index in 0..<5 { Timer(label: "redisCommand.ms", dimensions: [("le", "\(index)")], factory: factory).recordMilliseconds(index) }
    Counter(label: "http.request-count", factory: factory).increment()
    Recorder(label: "batch_size_total", factory: factory).record(3)
    Meter(label: "1st.queueLength_sum", dimensions: [("queueName", "x")], factory: factory).set(3)

    let process = Process()
    let input = Pipe()
    let output = Pipe()
    process.executableURL = URL(fileURLWithPath: promtool)
    process.arguments = ["check", "metrics"]
    process.standardInput = input
    process.standardOutput = output
    process.standardError = output
    try process.run()
    try input.fileHandleForWriting.write(contentsOf: Data(registry.render(.text)))
    try input.fileHandleForWriting.close()
    let remarks = String(decoding: try output.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
    process.waitUntilExit()
    #expect(remarks == "")
    #expect(process.terminationStatus == 0)
  }
}
