/// What the client holds for the state of the cluster, out of what servers say about it.
///
/// A pure value. Servers can disagree: one that was cut off still has the map of before. Failovers and migrations raise the cluster's
/// epoch (Redis Cluster Specification, "Configuration epoch"), so of several maps the one with the greatest epoch counts, and a lower
/// epoch than was seen before is not believed, until nothing else has been heard for a while: then the cluster was set up anew.
struct ClusterView {
  typealias Endpoint = RedisConfiguration.Endpoint

  /// What one server says.
  struct Report: Equatable {
    let map: ClusterMap
    let epoch: Int64
  }

  /// For so long a greater epoch outlives those who knew it.
  private static let doubt = Duration.seconds(10)

  private(set) var map: ClusterMap?
  private var epoch: Int64 = 0
  /// When a server last confirmed the epoch.
  private var confirmed: Duration = .zero

  /// Takes the reports of some servers.
  ///
  /// - Parameters:
  ///   - reports: What they said, at most one each.
  ///   - now: The time, on any clock that never goes back.
  /// - Returns: Whether there is a map that can be believed.
  mutating func received(_ reports: [Report], now: Duration) -> Bool {
    let best = reports.filter { $0.map.coveredSlots > 0 }.max { ($0.epoch, $0.map.coveredSlots) < ($1.epoch, $1.map.coveredSlots) }
    guard let best, best.epoch >= epoch || now - confirmed >= Self.doubt else { return false }
    map = best.map
    epoch = best.epoch
    confirmed = now
    return true
  }

  /// A server has said that a slot lives elsewhere now.
  mutating func moved(_ slot: Int, to master: Endpoint) {
    map?.assign(slot...slot, to: master)
  }
}

extension ClusterView {
  /// The epoch in the reply to CLUSTER INFO, lines of `name:value`; 0 if it is not there.
  static func epoch(inInfo text: String) -> Int64 {
    let name = "cluster_current_epoch:"
    let line = text.split(whereSeparator: \.isNewline).first { $0.hasPrefix(name) }
    return line.flatMap { Int64($0.dropFirst(name.count)) } ?? 0
  }
}
