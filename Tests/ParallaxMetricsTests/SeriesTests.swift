import Synchronization
import Testing

@testable import ParallaxMetrics

@Suite struct SeriesTests {
  let registry = MetricsRegistry()

  @Test func `A counter ignores amounts by which it would fall or be spoilt`() throws {
    let counter = try registry.makeCounter("jobs_total", help: "Jobs.").withLabels()
    for amount in [-1, 0, .nan, .infinity, -.infinity] as [Double] { counter.add(amount) }
    #expect(counter.value == 0)
    counter.add(0.25)
    counter.increment()
    #expect(counter.value == 1.25)
  }

  @Test func `A gauge goes up and down`() throws {
    let gauge = try registry.makeGauge("level", help: "A level.").withLabels()
    gauge.increment()
    gauge.increment(by: 2.5)
    gauge.decrement()
    #expect(gauge.value == 2.5)
    gauge.set(-7)
    #expect(gauge.value == -7)
  }

  @Test func `Nothing is lost when many tasks record while others scrape`() async throws {
    let tasks = 8
    let rounds = 5_000
    let counter = try registry.makeCounter("jobs_total", help: "Jobs.", labels: ["task"])
    let gauge = try registry.makeGauge("level", help: "A level.").withLabels()
    let histogram = try registry.makeHistogram("job_seconds", help: "Jobs.", buckets: [1, 2]).withLabels()
    let summary = try registry.makeSummary("sync_seconds", help: "Syncs.", quantiles: [0.5]).withLabels()
    await withTaskGroup { group in
      for task in 0..<tasks {
        group.addTask {
          for round in 0..<rounds {
            counter.withLabels("\(task % 2)").increment()
            counter.withLabels("\(task % 2)").add(0.5)
            gauge.increment()
            histogram.observe(Double(round % 3) + 0.5)
            summary.observe(4)
          }
        }
      }
      group.addTask {
        for _ in 0..<50 { #expect(!registry.render(.text).isEmpty) }
      }
    }
    let lines = registry.text().split(separator: "\n")
    let all = tasks * rounds
    let firstBucket = tasks * ((rounds + 2) / 3)
    #expect(lines.contains("jobs_total{task=\"0\"} \(all * 3 / 4)"))
    #expect(lines.contains("jobs_total{task=\"1\"} \(all * 3 / 4)"))
    #expect(lines.contains("level \(all)"))
    #expect(lines.contains("job_seconds_bucket{le=\"1.0\"} \(firstBucket)"))
    #expect(lines.contains("job_seconds_count \(all)"))
    #expect(lines.contains("sync_seconds_sum \(all * 4)"))
    #expect(lines.contains("sync_seconds_count \(all)"))
  }

  @Test func `No addition is lost when tasks add to one number`() async throws {
    let gauge = try registry.makeGauge("level", help: "A level.").withLabels()
    await withTaskGroup { group in
      for _ in 0..<4 {
        group.addTask {
          for _ in 0..<200_000 { gauge.increment() }
        }
      }
    }
    #expect(gauge.value == 800_000)
  }

  @Test func `Quantiles are within the promised error`() {
    let quantiles = SlidingQuantiles(window: .seconds(60))
    for value in 1...10_000 { quantiles.observe(Double(value) / 1_000, now: .zero) }
    let found = quantiles.values([0, 0.5, 0.9, 0.99, 1], now: .zero)
    for (value, exact) in zip(found, [0.001, 5, 9, 9.9, 10]) {
      #expect(abs(value - exact) <= exact * 0.016, "\(value) for \(exact)")
    }
  }

  @Test func `A quantile between two observations is the greater one`() {
    let quantiles = SlidingQuantiles(window: .seconds(60))
    for value in [1.0, 2, 4] { quantiles.observe(value, now: .zero) }
    for (quantile, exact) in [(0.33, 1.0), (0.34, 2), (0.5, 2), (0.66, 2), (0.67, 4)] {
      let value = quantiles.values([quantile], now: .zero)[0]
      #expect(abs(value - exact) <= exact * 0.016, "\(value) for \(quantile)")
    }
  }

  @Test func `The quantiles count the whole window`() {
    let quantiles = SlidingQuantiles(window: .seconds(60))
    quantiles.observe(1, now: .zero)
    let (last, after) = (quantiles.values([0.5], now: .milliseconds(59_999))[0], quantiles.values([0.5], now: .seconds(60))[0])
    #expect(!last.isNaN)
    #expect(after.isNaN)
  }

  @Test func `Observations leave the quantiles with the window and stay in the sum`() throws {
    let time = ManualTime()
    let registry = MetricsRegistry(now: { time.now })
    let summary = try registry.makeSummary("sync_seconds", help: "Syncs.", quantiles: [0.5], window: .seconds(60)).withLabels()
    summary.observe(0.5)
    time.now = .seconds(30)
    summary.observe(1)
    summary.observe(1)
    summary.observe(1)
    time.now = .seconds(59)
    #expect(registry.text().contains("sync_seconds{quantile=\"0.5\"} 1.015625\n"))
    time.now = .seconds(91)
    #expect(registry.text().contains("sync_seconds{quantile=\"0.5\"} NaN\n"))
    // The same slice of the ring again, without its former content.
    time.now = .seconds(120)
    summary.observe(2)
    #expect(registry.text().contains("sync_seconds{quantile=\"0.5\"} 2.03125\nsync_seconds_sum 5.5\nsync_seconds_count 5\n"))
  }

  @Test func `Values that are not positive count as zero and huge ones at the top`() {
    let quantiles = SlidingQuantiles(window: .seconds(60))
    quantiles.observe(-5, now: .zero)
    quantiles.observe(0, now: .zero)
    quantiles.observe(1e-12, now: .zero)
    #expect(quantiles.values([1], now: .zero) == [0])
    quantiles.observe(.infinity, now: .zero)
    #expect(quantiles.values([1], now: .zero).allSatisfy { $0 > 1e10 && $0.isFinite })
  }

  @Test func `Each bucket of the scale begins where the one before it ends`() {
    for bucket in 1..<LogLinearScale.bucketCount {
      #expect(LogLinearScale.bucket(of: LogLinearScale.middle(of: bucket)) == bucket)
    }
  }
}

/// The time since an origin, moved by the test.
private final class ManualTime: Sendable {
  private let value = Mutex(Duration.zero)

  var now: Duration {
    get { value.withLock { $0 } }
    set { value.withLock { $0 = newValue } }
  }
}
