import DequeModule
import ParallaxAPI
import Synchronization

/// The recent activity of all nodes, for charts.
///
/// Each node publishes a sample of itself every five seconds on the cluster's channel, and keeps those that it hears: every node can answer
/// for the cluster without a read of the store. A sample may be lost with its event.
final class Activity: Sendable {
  /// The time between two samples of a node.
  static let interval: Duration = .seconds(5)
  /// The largest number of samples of a node: a quarter of an hour.
  static let length = 180
  /// The largest number of nodes, whose names come from outside.
  private static let greatestCluster = 256

  /// The type of the event that carries a sample.
  static let eventType = "activity"

  private struct Series {
    var samples: Deque<ActivitySample> = []
    /// The time at which this node heard the last sample: the clocks of other nodes may be wrong.
    var heardAt: Duration
  }

  private let nodes = Mutex<[String: Series]>([:])

  /// Adds a sample of a node that is heard at this time, and forgets the nodes without a sample in the time of the charts.
  func add(_ sample: ActivitySample, of node: String, at now: Duration) {
    nodes.withLock { nodes in
      nodes = nodes.filter { now - $0.value.heardAt <= Self.interval * Self.length }
      guard nodes[node] != nil || nodes.count < Self.greatestCluster else { return }
      var series = nodes.removeValue(forKey: node) ?? Series(heardAt: now)
      series.heardAt = now
      series.samples.append(sample)
      if series.samples.count > Self.length { series.samples.removeFirst() }
      nodes[node] = series
    }
  }

  var document: ActivityDocument {
    ActivityDocument(interval: Self.interval, nodes: nodes.withLock { $0.mapValues { Array($0.samples) } })
  }
}

extension ActivitySample {
  /// The details of the event that carries the sample.
  var details: JSONValue {
    var details: [String: JSONValue] = [
      "at": .string(at.description), "completed": .integer(Int64(completed)), "failed": .integer(Int64(failed)),
      "timedOut": .integer(Int64(timedOut)), "cancelled": .integer(Int64(cancelled)), "running": .integer(Int64(running)),
      "waiting": .integer(Int64(waiting)), "agents": .integer(Int64(agents)),
    ]
    details["p50"] = p50.map { .number($0) } ?? .null
    details["p99"] = p99.map { .number($0) } ?? .null
    return .object(details)
  }

  /// Reads the details of an event; nil if one is missing.
  init?(details: JSONValue?) {
    func count(_ name: String) -> Int? {
      details?[name]?.integerValue.flatMap { $0 >= 0 ? Int($0) : nil }
    }
    guard let at = details?["at"]?.stringValue.flatMap({ Timestamp($0) }), let completed = count("completed"),
      let failed = count("failed"), let timedOut = count("timedOut"), let cancelled = count("cancelled"), let running = count("running"),
      let waiting = count("waiting"), let agents = count("agents")
    else { return nil }
    self.init(
      at: at, completed: completed, failed: failed, timedOut: timedOut, cancelled: cancelled, p50: details?["p50"]?.doubleValue,
      p99: details?["p99"]?.doubleValue, running: running, waiting: waiting, agents: agents)
  }
}
