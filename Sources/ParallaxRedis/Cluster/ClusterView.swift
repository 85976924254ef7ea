/// The client's view of the cluster, derived from the reports of its servers.
///
/// A pure value. Servers can disagree: an isolated server still has the former map. Failovers and migrations raise the cluster's epoch
/// (Redis Cluster Specification, "Configuration epoch"), so the map with the greatest epoch is valid. A map of a lower epoch than before is
/// rejected until no server has confirmed the greater epoch for a while: then the cluster was created anew.
///
/// An isolated replica raises its own epoch with each election that it cannot win. It knows that it cannot serve, though: the map of a
/// server that cannot serve is accepted only if no server can, and its epoch never counts.
struct ClusterView {
  typealias Endpoint = RedisConfiguration.Endpoint

  /// The report of one server.
  struct Report: Equatable {
    let map: ClusterMap
    let epoch: Int64
    /// Whether the server considers the cluster able to serve.
    var isServing = true
  }

  /// How long a greater epoch is valid without a confirmation by a server.
  private static let confirmationTime = Duration.seconds(10)

  private(set) var map: ClusterMap?
  private var epoch: Int64 = 0
  /// When a server last confirmed the epoch.
  private var confirmed: Duration = .zero

  /// Applies the reports of some servers.
  ///
  /// - Parameters:
  ///   - reports: At most one report per server; of equal reports the first counts.
  ///   - now: The time on a monotonic clock.
  /// - Returns: Whether there is a credible map.
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

  /// A server has redirected a slot with MOVED.
  mutating func moved(_ slot: Int, to master: Endpoint) {
    map?.assign(slot...slot, to: master)
  }
}

extension ClusterView.Report {
  /// - Parameters:
  ///   - map: The map of a server.
  ///   - info: The same server's reply to CLUSTER INFO, lines of `name:value`; a server that refuses it counts as able to serve.
  init(map: ClusterMap, info: String) {
    func value(_ name: String) -> Substring? {
      info.split(whereSeparator: \.isNewline).first { $0.hasPrefix("\(name):") }?.dropFirst(name.count + 1)
    }
    self.init(map: map, epoch: value("cluster_current_epoch").flatMap { Int64($0) } ?? 0, isServing: value("cluster_state") != "fail")
  }
}
