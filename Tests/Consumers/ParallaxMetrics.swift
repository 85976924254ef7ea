import ParallaxMetrics

/// Needs nothing but the library.
func jobs(in registry: MetricsRegistry) throws -> CounterSeries {
  try registry.makeCounter("jobs_total", help: "Jobs that ended, by outcome.", labels: ["outcome"]).withLabels("succeeded")
}
