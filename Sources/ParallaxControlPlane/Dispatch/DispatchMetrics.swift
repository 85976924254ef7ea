import ParallaxAPI
package import ParallaxMetrics
import ParallaxState
import Synchronization

/// The metrics of executions.
package final class DispatchMetrics: Sendable {
  /// The same executions, for the charts.
  let meter = ActivityMeter()
  private struct Series {
    var byStatus: [ExecutionStatus: CounterSeries] = [:]
    var duration: HistogramSeries
  }

  private let executions: MetricFamily<CounterSeries>
  private let durations: MetricFamily<HistogramSeries>
  private let restored: CounterSeries
  private let byPattern = Mutex<[String: Series]>([:])

  package init(registry: MetricsRegistry) throws {
    executions = try registry.makeCounter(
      "parallax_executions_total", help: "Executions that ended, by pattern and final status.", labels: ["pattern", "status"])
    durations = try registry.makeHistogram(
      "parallax_execution_duration_seconds", help: "Time from creation to end of executions.", labels: ["pattern"],
      buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300])
    restored = try registry.makeCounter(
      "parallax_executions_restored_total",
      help: "Executions that the store lost wholly or in part, such as in a failover of Redis, and that were written again."
    ).withLabels()
  }

  /// Counts the restoration of an execution that the store had acknowledged and lost, wholly or in part.
  func restoredExecution() { restored.increment() }

  func ended(_ execution: Execution) {
    let (counter, duration) = byPattern.withLock { patterns in
      let name = execution.pattern.name
      var series = patterns[name] ?? Series(duration: durations.withLabels(name))
      let counter = series.byStatus[execution.status] ?? executions.withLabels(name, execution.status.rawValue)
      series.byStatus[execution.status] = counter
      patterns[name] = series
      return (counter, series.duration)
    }
    meter.ended(execution)
    counter.increment()
    if let completedAt = execution.completedAt { duration.observe(completedAt - execution.createdAt) }
  }
}
