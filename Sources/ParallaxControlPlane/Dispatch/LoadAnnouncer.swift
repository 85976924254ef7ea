/// Schedules the announcements of agents' loads to the other nodes.
struct LoadAnnouncer: Sendable {
  /// The interval between announcements of all loads, because an announcement may be lost.
  private static let interval = Duration.seconds(10)
  /// The largest number of agents in one announcement.
  private static let loadsPerAnnouncement = 1_000

  /// The instant of the last announcement of all loads.
  private var completeAt: Duration?

  /// Returns announcements of the loads that have changed since the last call, or of all loads once per interval.
  mutating func announcements(of directory: inout AgentDirectory, at now: Moment) -> [AgentAnnouncement] {
    let isComplete = now.instant - (completeAt ?? now.instant) >= Self.interval
    if isComplete || completeAt == nil { completeAt = now.instant }
    let loads = Array(directory.takeLoads(all: isComplete))
    return stride(from: 0, to: loads.count, by: Self.loadsPerAnnouncement).map { start in
      let part = loads[start..<min(start + Self.loadsPerAnnouncement, loads.count)]
      return .loads(Dictionary(part.map { ($0.key, $0.value) }) { $1 })
    }
  }
}
