import ParallaxMetrics
import Testing

@Suite struct ExpositionTests {
  @Test func `An empty registry renders nothing, and the end marker in OpenMetrics`() {
    let registry = MetricsRegistry()
    #expect(registry.text() == "")
    #expect(registry.text(.openMetrics) == "# EOF\n")
  }

  @Test func `Families are rendered by name, series by creation`() throws {
    let registry = MetricsRegistry()
    let jobs = try registry.makeCounter("jobs_total", help: "Jobs that ended.", labels: ["queue", "outcome"])
    jobs.withLabels("mail", "succeeded").increment(by: 41)
    jobs.withLabels("mail", "failed").increment()
    jobs.withLabels("mail", "succeeded").increment()
    try registry.makeGauge("active_jobs", help: "Jobs that run.").withLabels().set(-2.5)
    #expect(
      registry.text() == """
        # HELP active_jobs Jobs that run.
        # TYPE active_jobs gauge
        active_jobs -2.5
        # HELP jobs_total Jobs that ended.
        # TYPE jobs_total counter
        jobs_total{queue="mail",outcome="succeeded"} 42
        jobs_total{queue="mail",outcome="failed"} 1

        """)
  }

  @Test func `OpenMetrics names a counter's family without the suffix of its sample`() throws {
    let registry = MetricsRegistry()
    try registry.makeCounter("jobs_total", help: "Jobs that ended.").withLabels().add(0.5)
    #expect(
      registry.text(.openMetrics) == """
        # HELP jobs Jobs that ended.
        # TYPE jobs counter
        jobs_total 0.5
        # EOF

        """)
  }

  @Test func `A metric without labels is exposed as zero before anything happened`() throws {
    let registry = MetricsRegistry()
    _ = try registry.makeCounter("jobs_total", help: "Jobs that ended.")
    _ = try registry.makeCounter("mails_total", help: "Mails that were sent.", labels: ["to"])
    #expect(
      registry.text() == """
        # HELP jobs_total Jobs that ended.
        # TYPE jobs_total counter
        jobs_total 0

        """)
  }

  @Test func `A histogram's buckets are cumulative and end in +Inf`() throws {
    let registry = MetricsRegistry()
    let histogram = try registry.makeHistogram("job_seconds", help: "How long jobs took.", labels: ["queue"], buckets: [0.1, 1, 2.5])
    for value in [0.05, 0.1, 0.7, 3, .nan] { histogram.withLabels("mail").observe(value) }
    histogram.withLabels("mail").observe(.milliseconds(150))
    #expect(
      registry.text() == """
        # HELP job_seconds How long jobs took.
        # TYPE job_seconds histogram
        job_seconds_bucket{queue="mail",le="0.1"} 2
        job_seconds_bucket{queue="mail",le="1.0"} 4
        job_seconds_bucket{queue="mail",le="2.5"} 4
        job_seconds_bucket{queue="mail",le="+Inf"} 5
        job_seconds_sum{queue="mail"} 4
        job_seconds_count{queue="mail"} 5

        """)
  }

  @Test func `An empty summary has quantiles that are not a number`() throws {
    let registry = MetricsRegistry()
    _ = try registry.makeSummary("sync_seconds", help: "How long a sync took.", quantiles: [0.5, 0.99])
    #expect(
      registry.text() == """
        # HELP sync_seconds How long a sync took.
        # TYPE sync_seconds summary
        sync_seconds{quantile="0.5"} NaN
        sync_seconds{quantile="0.99"} NaN
        sync_seconds_sum 0
        sync_seconds_count 0

        """)
  }

  @Test(
    arguments: [
      (Double.infinity, "+Inf"), (-.infinity, "-Inf"), (.nan, "NaN"), (0, "0"), (-0.0, "0"), (1e-9, "1e-09"), (0.1, "0.1"), (-3, "-3"),
      (9_007_199_254_740_991, "9007199254740991"), (1e300, "1e+300"),
    ])
  func `A number is spelled as the formats ask`(value: Double, text: String) throws {
    let registry = MetricsRegistry()
    try registry.makeGauge("level", help: "A level.").withLabels().set(value)
    #expect(registry.text().hasSuffix("\nlevel \(text)\n"))
  }

  @Test func `A counter beyond 32 bits keeps all its digits`() throws {
    let registry = MetricsRegistry()
    try registry.makeCounter("bytes_total", help: "Bytes.").withLabels().increment(by: UInt64.max)
    #expect(registry.text().hasSuffix("\nbytes_total 18446744073709551615\n"))
  }

  @Test func `Label values and help texts are escaped`() throws {
    let registry = MetricsRegistry()
    try registry.makeGauge("level", help: "The \"level\" of C:\\\nand more.", labels: ["path"]).withLabels("C:\\ \"x\"\né").set(1)
    #expect(
      registry.text() == #"""
        # HELP level The "level" of C:\\\nand more.
        # TYPE level gauge
        level{path="C:\\ \"x\"\né"} 1

        """#)
    #expect(registry.text(.openMetrics).hasPrefix(#"# HELP level The \"level\" of C:\\\nand more."#))
  }

  @Test(
    arguments: [
      (nil, ExpositionFormat.text), ("", .text), ("*/*", .text), ("text/html", .text), (";;,=q", .text),
      ("application/openmetrics-text", .openMetrics),
      ("Application/OpenMetrics-Text; version=\"1.0.0\"; charset=utf-8", .openMetrics),
      ("application/openmetrics-text;version=0.0.1", .text),
      ("application/openmetrics-text;version=1.0.0;q=0", .text),
      ("application/openmetrics-text;q=0.3,text/plain;q=0.5", .text),
      ("text/plain;version=0.0.4,application/openmetrics-text", .openMetrics),
      (
        "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
        .openMetrics
      ),
    ] as [(String?, ExpositionFormat)])
  func `The format follows the Accept header`(accept: String?, format: ExpositionFormat) {
    #expect(ExpositionFormat(accept: accept) == format)
  }

  @Test func `The content types name the formats' versions`() {
    #expect(ExpositionFormat.text.contentType == "text/plain; version=0.0.4; charset=utf-8")
    #expect(ExpositionFormat.openMetrics.contentType == "application/openmetrics-text; version=1.0.0; charset=utf-8")
  }
}
