/// Schedules the announcements of agents' loads to the other nodes.
struct LoadAnnouncer: Sendable {
  /// How often all loads are announced, in case that an announcement was lost.
  private static let interval = Duration.seconds(10)
  /// How many agents' loads one announcement has.
  private static let loadsPerAnnouncement = 1_000

  /// When all loads were announced last.
  private var completeAt: Duration?

  /// The loads that changed since the last call, and now and then all.
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
