/// What the client holds for the state of the cluster, out of what servers say about it.
///
/// A pure value. Servers can disagree: one that was cut off still has the map of before. Failovers and migrations raise the cluster's
/// epoch (Redis Cluster Specification, "Configuration epoch"), so of several maps the one with the greatest epoch counts, and a lower
/// epoch than was seen before is not believed, until nothing else has been heard for a while: then the cluster was set up anew.
///
/// A replica that is cut off raises its own epoch with each election that it cannot win. It knows that it cannot serve, though, and a
/// server that cannot is believed only where none can, and never for its epoch.
struct ClusterView {
  typealias Endpoint = RedisConfiguration.Endpoint

  /// What one server says.
  struct Report: Equatable {
    let map: ClusterMap
    let epoch: Int64
    /// Whether the server sees a cluster that can serve.
    var isServing = true
  }

  /// How long a greater epoch counts although no server confirms it any more.
  private static let confirmationTime = Duration.seconds(10)

  private(set) var map: ClusterMap?
  private var epoch: Int64 = 0
  /// When a server last confirmed the epoch.
  private var confirmed: Duration = .zero

  /// Takes the reports of some servers.
  ///
  /// - Parameters:
  ///   - reports: What they said, at most one each; of equal ones the first counts.
  ///   - now: The time, on any clock that never goes back.
  /// - Returns: Whether there is a map that can be believed.
  mutating func received(_ reports: [Report], now: Duration) -> Bool {
    let complete = reports.filter { $0.map.coveredSlots > 0 }
    let serving = complete.filter(\.isServing)
    let best = (serving.isEmpty ? complete : serving).max { ($0.epoch, $0.map.coveredSlots) < ($1.epoch, $1.map.coveredSlots) }
    guard let best, best.epoch >= epoch || now - confirmed >= Self.confirmationTime else { return false }
    map = best.map
    if best.isServing || best.epoch < epoch { epoch = best.epoch }
    confirmed = now
    return true
  }

  /// A server has said that a slot lives elsewhere now.
  mutating func moved(_ slot: Int, to master: Endpoint) {
    map?.assign(slot...slot, to: master)
  }
}

extension ClusterView.Report {
  /// - Parameters:
  ///   - map: The map of a server.
  ///   - info: The reply to CLUSTER INFO of the same server, lines of `name:value`; a server that refuses it is believed to serve.
  init(map: ClusterMap, info: String) {
    func value(_ name: String) -> Substring? {
      info.split(whereSeparator: \.isNewline).first { $0.hasPrefix("\(name):") }?.dropFirst(name.count + 1)
    }
    self.init(map: map, epoch: value("cluster_current_epoch").flatMap { Int64($0) } ?? 0, isServing: value("cluster_state") != "fail")
  }
}
