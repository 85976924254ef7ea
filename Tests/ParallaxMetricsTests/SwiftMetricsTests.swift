import CoreMetrics
import ParallaxMetrics
import Synchronization
import Testing

@Suite struct SwiftMetricsTests {
  let registry = MetricsRegistry()
  var factory: PrometheusMetricsFactory { PrometheusMetricsFactory(registry) }

  @Test func `Counters of both kinds count in one series with _total`() {
    let factory = factory
    Counter(label: "jobs", dimensions: [("queue", "mail")], factory: factory).increment(by: 2)
    FloatingPointCounter(label: "jobs", dimensions: [("queue", "mail")], factory: factory).increment(by: 0.5)
    Counter(label: "jobs_total", dimensions: [("queue", "mail")], factory: factory).increment(by: -1)
    #expect(
      registry.text() == """
        # HELP jobs_total Reported through swift-metrics as jobs.
        # TYPE jobs_total counter
        jobs_total{queue="mail"} 2.5

        """)
  }

  @Test func `A counter can be reset`() {
    let counter = Counter(label: "jobs", factory: factory)
    counter.increment(by: 2)
    counter.reset()
    #expect(registry.text().hasSuffix("\njobs_total 0\n"))
  }

  @Test func `Meters and gauges are gauges`() {
    let meter = Meter(label: "level", factory: factory)
    meter.set(3)
    meter.increment(by: 2.5)
    meter.decrement()
    Gauge(label: "temperature", factory: factory).record(-1.5)
    #expect(
      registry.text() == """
        # HELP level Reported through swift-metrics as level.
        # TYPE level gauge
        level 4.5
        # HELP temperature Reported through swift-metrics as temperature.
        # TYPE temperature gauge
        temperature -1.5

        """)
  }

  @Test func `A recorder is a histogram, with the buckets that were chosen`() {
    var configuration = PrometheusMetricsFactory.Configuration()
    configuration.buckets["batch_size"] = [10, 100]
    configuration.help["batch_size"] = "Commands per batch."
    let recorder = Recorder(label: "batch_size", factory: PrometheusMetricsFactory(registry, configuration: configuration))
    recorder.record(10)
    recorder.record(11.5)
    #expect(
      registry.text() == """
        # HELP batch_size Commands per batch.
        # TYPE batch_size histogram
        batch_size_bucket{le="10.0"} 1
        batch_size_bucket{le="100.0"} 2
        batch_size_bucket{le="+Inf"} 2
        batch_size_sum 21.5
        batch_size_count 2

        """)
  }

  @Test func `A timer is a histogram in seconds`() {
    let timer = Timer(label: "parallax_redis_command_seconds", factory: factory)
    timer.recordMilliseconds(2)
    let lines = registry.text().split(separator: "\n")
    #expect(lines.contains("# TYPE parallax_redis_command_seconds histogram"))
    #expect(lines.contains(#"parallax_redis_command_seconds_bucket{le="0.001"} 0"#))
    #expect(lines.contains(#"parallax_redis_command_seconds_bucket{le="0.0025"} 1"#))
    #expect(lines.contains("parallax_redis_command_seconds_sum 0.002"))
  }

  @Test func `A listed timer is a summary`() {
    var configuration = PrometheusMetricsFactory.Configuration()
    configuration.summaries = ["parallax_ha_sync_latency_seconds"]
    let timer = Timer(label: "parallax_ha_sync_latency_seconds", factory: PrometheusMetricsFactory(registry, configuration: configuration))
    timer.recordMilliseconds(5)
    let lines = registry.text().split(separator: "\n")
    #expect(lines.contains("# TYPE parallax_ha_sync_latency_seconds summary"))
    #expect(lines.contains { $0.hasPrefix(#"parallax_ha_sync_latency_seconds{quantile="0.99"} 0.00"#) })
    #expect(lines.contains("parallax_ha_sync_latency_seconds_count 1"))
  }

  @Test(
    arguments: [
      ("http.request-count", "http_request_total"), ("requestCount", "request_total"), ("1st", "_1st_total"), ("jobs_total", "jobs_total"),
      ("", "__total"), ("größe", "gr____e_total"), ("app:jobs", "app:jobs_total"), ("_sum", "sum_total"), ("count", "count_total"),
    ])
  func `Any label becomes a valid name`(label: String, name: String) {
    Counter(label: label, factory: factory).increment()
    #expect(registry.text().hasSuffix("\n\(name) 1\n"))
  }

  @Test(arguments: ["wait", "wait_ms", "wait_nanoseconds", "wait.seconds"])
  func `A timer's unit is replaced by seconds`(label: String) {
    Timer(label: label, factory: factory).recordSeconds(1)
    #expect(registry.text().hasSuffix("\nwait_seconds_count 1\n"))
  }

  @Test func `Dimensions become valid labels in one order`() {
    let factory = factory
    Meter(
      label: "level", dimensions: [("b.c", "1"), ("__le", "2"), ("9", "3"), ("zoneName", "4"), ("b-c", "5"), ("", "6")], factory: factory
    ).set(1)
    Meter(label: "level", dimensions: [("zoneName", "4"), ("", "6"), ("9", "3"), ("b.c", "5"), ("le", "2")], factory: factory).set(2)
    #expect(registry.text().hasSuffix("gauge\nlevel{_9=\"3\",b_c=\"5\",label=\"6\",label_le=\"2\",zone_name=\"4\"} 2\n"))
  }

  @Test func `Destroying the last handler of a series removes it`() {
    let factory = factory
    let first = Counter(label: "jobs", dimensions: [("queue", "mail")], factory: factory)
    let second = Counter(label: "jobs", dimensions: [("queue", "mail")], factory: factory)
    let other = Counter(label: "jobs", dimensions: [("queue", "print")], factory: factory)
    first.increment()
    first.destroy()
    #expect(registry.text().contains(#"jobs_total{queue="mail"} 1"#))
    second.destroy()
    #expect(!registry.text().contains("mail"))
    other.destroy()
    #expect(registry.text() == "")
  }

  @Test func `Handlers of every kind can be destroyed`() {
    let factory = factory
    let floating = FloatingPointCounter(label: "a", factory: factory)
    let meter = Meter(label: "b", factory: factory)
    let recorder = Recorder(label: "c", factory: factory)
    let gauge = Gauge(label: "d", factory: factory)
    let timer = Timer(label: "e", factory: factory)
    floating.destroy()
    meter.destroy()
    recorder.destroy()
    gauge.destroy()
    timer.destroy()
    #expect(registry.text() == "")
  }

  @Test func `A metric that cannot be registered is reported once and not recorded`() {
    let refused = Mutex<[MetricsError]>([])
    let factory = PrometheusMetricsFactory(registry) { error in refused.withLock { $0.append(error) } }
    Counter(label: "jobs", dimensions: [("queue", "mail")], factory: factory).increment()
    for _ in 0..<3 { Counter(label: "jobs", dimensions: [("name", "mail")], factory: factory).increment() }
    Recorder(label: "jobs_total", factory: factory).record(1)
    #expect(refused.withLock { $0.map(\.code) } == [.conflict, .conflict])
    #expect(registry.text().hasSuffix("counter\njobs_total{queue=\"mail\"} 1\n"))
  }
}
