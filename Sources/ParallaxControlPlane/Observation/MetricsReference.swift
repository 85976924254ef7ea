import Logging
package import ParallaxMetrics

/// The metrics of a node: those that it registers itself, and those that its libraries report through swift-metrics.
package enum MetricsReference {
  /// What the libraries report through swift-metrics, which has no help texts.
  package static let reported = [
    MetricDescription(
      name: "parallax_ha_duty_runs_total", type: "counter", labels: ["duty", "outcome"],
      help: "Rounds of the leader's duties, by duty and outcome."),
    MetricDescription(
      name: "parallax_ha_takeover_seconds", type: "histogram", labels: ["cause"],
      help: "Silence of the former leader when this node took over, by the cause of its end."),
    MetricDescription(
      name: "parallax_ha_duty_seconds", type: "histogram", labels: ["duty"], help: "Time that a round of a leader's duty takes."),
    MetricDescription(
      name: "parallax_redis_command_seconds", type: "histogram", labels: ["command"],
      help: "Time from sending a command to Redis until its reply, by the command's name."),
    MetricDescription(
      name: "parallax_redis_connections", type: "gauge", labels: ["role"], help: "Open connections to Redis, by their use."),
    MetricDescription(
      name: "parallax_redis_reconnects_total", type: "counter", help: "Connections to Redis that replaced a lost one."),
  ]

  /// What a node registers only if it keeps a witness.
  private static let ofWitness = MetricDescription(
    name: "parallax_ha_witnesses_lost_total", type: "counter", help: "Witnesses of this node that have ended before it.")

  /// The help texts of what is reported through swift-metrics, by name.
  package static var help: [String: String] { Dictionary(uniqueKeysWithValues: reported.map { ($0.name, $0.help) }) }

  /// All metrics of a node in a cluster, by name.
  ///
  /// - Throws: An error if a part of the node cannot register its metrics.
  package static func all() throws -> [MetricDescription] {
    var configuration = NodeConfiguration(nodeID: "node")
    configuration.highAvailability.enabled = true
    configuration.redis.url = RedisURL("redis://127.0.0.1")
    var logger = Logger(label: "metrics") { _ in SwiftLogNoOpLogHandler() }
    logger.logLevel = .critical
    let registry = MetricsRegistry()
    try registry.registerProcessMetrics()
    // The parts of a node register their metrics when they are made; none of them is run.
    _ = try ParallaxNode(configuration: configuration, metrics: registry, logger: logger)
    let registered = registry.descriptions.filter { $0.name != ofWitness.name }
    return (registered + reported + [ofWitness]).sorted { $0.name < $1.name }
  }

  /// A table of all metrics in Markdown.
  ///
  /// - Throws: As ``all()``.
  package static func markdown() throws -> String {
    let rows = try all().map { metric in
      let labels = metric.labels.map { "`\($0)`" }.joined(separator: ", ")
      return "| `\(metric.name)` | \(metric.type) | \(labels) | \(metric.help) |\n"
    }
    return "| metric | type | labels | meaning |\n|---|---|---|---|\n" + rows.joined()
  }
}
