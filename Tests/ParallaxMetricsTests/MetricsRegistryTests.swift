import ParallaxMetrics
import Synchronization
import Testing

@Suite struct MetricsRegistryTests {
  let registry = MetricsRegistry()

  @Test func `The same registration gives the same family`() throws {
    let first = try registry.makeCounter("jobs_total", help: "Jobs.", labels: ["queue"])
    let second = try registry.makeCounter("jobs_total", help: "Jobs.", labels: ["queue"])
    #expect(first === second)
    #expect(first.withLabels("mail") === second.withLabels("mail"))
    #expect(first.withLabels("mail") !== first.withLabels("print"))
  }

  @Test(
    arguments: [
      ("", "Jobs.", MetricsError.Code.invalidMetric), ("1jobs_total", "Jobs.", .invalidMetric), ("jobs-total", "Jobs.", .invalidMetric),
      ("jöbs_total", "Jobs.", .invalidMetric), ("jobs", "Jobs.", .invalidMetric), ("_total", "Jobs.", .invalidMetric),
      ("jobs_count_total", "Jobs.", .invalidMetric), ("jobs_total", "", .invalidMetric),
    ])
  func `A counter with an invalid name or without help is refused`(name: String, help: String, code: MetricsError.Code) {
    let error = #expect(throws: MetricsError.self) { try registry.makeCounter(name, help: help) }
    #expect(error?.code == code)
    #expect(error?.message.contains("\"\(name)\"") == true)
  }

  @Test func `facts are a gauge in the text format and an info in OpenMetrics`() throws {
    let registry = MetricsRegistry()
    try registry.registerInfo("app_build_info", help: "The build.", facts: ["version": "1.2.3", "commit": "abc"])
    let text = String(decoding: registry.render(.text), as: UTF8.self)
    #expect(text.contains("# TYPE app_build_info gauge\napp_build_info{version=\"1.2.3\",commit=\"abc\"} 1\n"), "\(text)")
    let open = String(decoding: registry.render(.openMetrics), as: UTF8.self)
    #expect(open.contains("# TYPE app_build info\napp_build_info{version=\"1.2.3\",commit=\"abc\"} 1"), "\(open)")
    #expect(throws: MetricsError.self) { try registry.registerInfo("app_build", help: "The build.", facts: [:]) }
    #expect(throws: MetricsError.self, "the family of OpenMetrics") { try registry.makeGauge("app_build", help: "Another.") }
    let description = try #require(registry.descriptions.first { $0.name == "app_build_info" })
    #expect(description == MetricDescription(name: "app_build_info", type: "gauge", labels: ["version", "commit"], help: "The build."))
  }

  @Test(arguments: ["jobs_total", "jobs_sum", "jobs_bucket", "jobs_count", "jobs_created", "jobs_info"])
  func `A gauge whose name would read as another metric's sample is refused`(name: String) {
    let error = #expect(throws: MetricsError.self) { try registry.makeGauge(name, help: "Jobs.") }
    #expect(error?.code == .invalidMetric)
  }

  @Test(arguments: [["a-b"], ["1"], ["__name"], [""], ["a:b"], ["queue", "queue"], ["le"]])
  func `An invalid label is refused`(labels: [String]) {
    let error = #expect(throws: MetricsError.self) { try registry.makeHistogram("job_seconds", help: "Jobs.", labels: labels) }
    #expect(error?.code == .invalidLabel)
  }

  @Test func `A summary's own label is refused for it alone`() throws {
    #expect(throws: MetricsError.self) { try registry.makeSummary("sync_seconds", help: "Syncs.", labels: ["quantile"]) }
    _ = try registry.makeGauge("sync_level", help: "Syncs.", labels: ["quantile", "le"])
  }

  @Test(arguments: [[], [1, 1], [2, 1], [1, .infinity], [.nan]] as [[Double]])
  func `Buckets that are not ascending and finite are refused`(buckets: [Double]) {
    let error = #expect(throws: MetricsError.self) { try registry.makeHistogram("job_seconds", help: "Jobs.", buckets: buckets) }
    #expect(error?.code == .invalidMetric)
  }

  @Test(arguments: [([], 60), ([1.1], 60), ([0.5, 0.5], 60), ([.nan], 60), ([0.5], 0)] as [([Double], Int)])
  func `Quantiles outside 0 to 1 and windows below a second are refused`(quantiles: [Double], window: Int) {
    let error = #expect(throws: MetricsError.self) {
      try registry.makeSummary("sync_seconds", help: "Syncs.", quantiles: quantiles, window: .seconds(window))
    }
    #expect(error?.code == .invalidMetric)
  }

  @Test func `A name registered with another type, other labels or other buckets is refused`() throws {
    _ = try registry.makeHistogram("job_seconds", help: "Jobs.", labels: ["queue"], buckets: [1, 2])
    let attempts: [() throws -> Void] = [
      { _ = try registry.makeGauge("job_seconds", help: "Jobs.", labels: ["queue"]) },
      { _ = try registry.makeHistogram("job_seconds", help: "Jobs.", labels: ["name"], buckets: [1, 2]) },
      { _ = try registry.makeHistogram("job_seconds", help: "Jobs.", labels: ["queue"], buckets: [1, 3]) },
      { try registry.registerGauge("job_seconds", help: "Jobs.", labels: ["queue"]) { [] } },
    ]
    for attempt in attempts {
      let error = #expect(throws: MetricsError.self) { try attempt() }
      #expect(error?.code == .conflict)
    }
  }

  @Test func `A name that another metric's samples have is refused`() throws {
    _ = try registry.makeCounter("jobs_total", help: "Jobs.")
    let error = #expect(throws: MetricsError.self) { try registry.makeGauge("jobs", help: "Jobs.") }
    #expect(error?.code == .conflict)
    #expect(error?.message.contains("\"jobs_total\"") == true)
  }

  @Test func `A removed series is no longer exposed and starts anew`() throws {
    let jobs = try registry.makeCounter("jobs_total", help: "Jobs.", labels: ["queue"])
    jobs.withLabels("mail").increment(by: 7)
    jobs.remove("mail")
    jobs.remove("never there")
    #expect(registry.text() == "")
    #expect(jobs.withLabels("mail").value == 0)
  }

  @Test func `Series beyond the limit work, are not exposed and are counted`() throws {
    let registry = MetricsRegistry(seriesLimit: 2)
    let jobs = try registry.makeCounter("jobs_total", help: "Jobs.", labels: ["queue"])
    for queue in ["a", "b", "c", "d", "a", "d"] { jobs.withLabels(queue).increment() }
    #expect(jobs.withLabels("c").value == 3)
    #expect(
      registry.text() == """
        # HELP jobs_total Jobs.
        # TYPE jobs_total counter
        jobs_total{queue="a"} 2
        jobs_total{queue="b"} 1
        # HELP parallax_metrics_dropped_series_total Lookups or samples beyond a metric's limit of series.
        # TYPE parallax_metrics_dropped_series_total counter
        parallax_metrics_dropped_series_total{metric="jobs_total"} 4

        """)
  }

  @Test func `A label value beyond the limit of bytes is not kept`() throws {
    let jobs = try registry.makeCounter("jobs_total", help: "Jobs.", labels: ["queue"])
    jobs.withLabels(String(repeating: "é", count: 513)).increment()
    jobs.withLabels(String(repeating: "é", count: 512)).increment()
    let lines = registry.text().split(separator: "\n")
    #expect(lines.filter { $0.hasPrefix("jobs_total{") }.count == 1)
    #expect(lines.contains(#"parallax_metrics_dropped_series_total{metric="jobs_total"} 1"#))
  }

  @Test func `A callback is asked at each scrape`() throws {
    let value = Mutex(0.0)
    try registry.registerGauge("level", help: "Levels.", labels: ["node"]) {
      [MetricSample(value.withLock { $0 }, labelValues: ["a"]), MetricSample(1, labelValues: ["b\"c"])]
    }
    #expect(registry.text().contains("level{node=\"a\"} 0\nlevel{node=\"b\\\"c\"} 1\n"))
    value.withLock { $0 = 5 }
    #expect(registry.text().contains("level{node=\"a\"} 5\n"))
  }

  @Test func `A callback without samples leaves its metric out`() throws {
    try registry.registerCounter("jobs_total", help: "Jobs.") { [] }
    #expect(registry.text() == "")
  }

  @Test func `A callback's wrong samples are dropped and counted`() throws {
    let registry = MetricsRegistry(seriesLimit: 2)
    try registry.registerGauge("level", help: "Levels.", labels: ["node"]) {
      [
        MetricSample(1, labelValues: ["a"]), MetricSample(2, labelValues: ["a"]), MetricSample(3), MetricSample(4, labelValues: ["b"]),
        MetricSample(5, labelValues: ["c"]),
      ]
    }
    _ = registry.text()
    let lines = registry.text().split(separator: "\n")
    #expect(lines.filter { $0.hasPrefix("level{") } == [#"level{node="a"} 1"#, #"level{node="b"} 4"#])
    #expect(lines.contains(#"parallax_metrics_dropped_series_total{metric="level"} 6"#))
  }

  @Test func `A callback may register and look up metrics of its own registry`() throws {
    try registry.registerGauge("level", help: "Levels.") { [registry] in
      guard let jobs = try? registry.makeCounter("jobs_total", help: "Jobs.").withLabels() else { return [] }
      jobs.increment()
      return [MetricSample(jobs.value)]
    }
    #expect(registry.text().contains("\nlevel 1\n"))
    #expect(registry.text().contains("\nlevel 2\n"))
  }
}
