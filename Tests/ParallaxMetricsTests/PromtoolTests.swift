import CoreMetrics
import Foundation
import ParallaxMetrics
import Testing

private let promtool = "/usr/bin/promtool"

@Suite struct PromtoolTests {
  /// Prometheus's own parser and linter, with every kind of metric and every unusual name.
  @Test(.enabled(if: FileManager.default.isExecutableFile(atPath: promtool)))
  func `Prometheus reads the text and has nothing to remark`() async throws {
    let registry = MetricsRegistry(seriesLimit: 3)
    try registry.registerProcessMetrics()
    try registry.makeGauge("level_ratio", help: "A \"level\"\nof C:\\.", labels: ["path"]).withLabels("C:\\ \"x\"\né").set(.nan)
    try registry.registerCounter("jobs_total", help: "Jobs.") { [MetricSample(.infinity)] }
    try registry.makeSummary("sync_seconds", help: "Syncs.").withLabels().observe(0.5)
    let factory = PrometheusMetricsFactory(registry)
    for index in 0..<5 { Timer(label: "redisCommand.ms", dimensions: [("le", "\(index)")], factory: factory).recordMilliseconds(index) }
    Counter(label: "http.request-count", factory: factory).increment()
    Recorder(label: "batch_size_total", factory: factory).record(3)
    Meter(label: "1st.queueLength_sum", dimensions: [("queueName", "x")], factory: factory).set(3)

    // Files instead of pipes: a child process of another test could inherit the end of a pipe and keep it open.
    let folder = FileManager.default.temporaryDirectory.appending(path: "promtool-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let (metrics, remarks) = (folder.appending(path: "metrics"), folder.appending(path: "remarks"))
    try Data(registry.render(.text)).write(to: metrics)
    try Data().write(to: remarks)
    let process = Process()
    process.executableURL = URL(fileURLWithPath: promtool)
    process.arguments = ["check", "metrics"]
    process.standardInput = try FileHandle(forReadingFrom: metrics)
    let output = try FileHandle(forWritingTo: remarks)
    process.standardOutput = output
    process.standardError = output
    try await withCheckedThrowingContinuation { (ended: CheckedContinuation<Void, any Error>) in
      process.terminationHandler = { _ in ended.resume() }
      do { try process.run() } catch { ended.resume(throwing: error) }
    }
    #expect(try String(contentsOf: remarks, encoding: .utf8) == "")
    #expect(process.terminationStatus == 0)
  }
}
