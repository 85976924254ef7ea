import ParallaxMetrics
import Synchronization

/// How long news takes through the store: from sending an event until this node receives it back, on one clock.
///
/// A marker a second keeps the measure alive on an idle node. One that is overdue counts with its age at each second, so that a dead
/// subscription shows as lag and not as silence.
final class SyncLatency: Sendable {
  private struct State {
    var lastMarker: Int64 = 0
    /// Markers on their way, oldest first, each with when it was sent.
    var awaited: [(marker: Int64, sentAt: Duration)] = []
  }

  /// Beyond so many only the oldest ones are kept: they are what the measure shows.
  private static let capacity = 60
  private static let overdueAfter: Duration = .seconds(1)

  private let summary: SummarySeries
  private let state = Mutex(State())

  init(registry: MetricsRegistry) throws {
    summary = try registry.makeSummary(
      "parallax_ha_sync_latency_seconds", help: "Time from sending a change until this node receives its own event back.",
      quantiles: [0.5, 0.9, 0.99]
    ).withLabels()
  }

  /// Notes that a marker is sent; returns its number.
  func send(at now: Duration) -> Int64 {
    state.withLock { state in
      if let oldest = state.awaited.first, now - oldest.sentAt >= Self.overdueAfter { summary.observe(now - oldest.sentAt) }
      state.lastMarker += 1
      if state.awaited.count < Self.capacity { state.awaited.append((state.lastMarker, now)) }
      return state.lastMarker
    }
  }

  /// Notes that a marker has come back; those before it will not come any more.
  func received(_ marker: Int64, at now: Duration) {
    state.withLock { state in
      if let sent = state.awaited.first(where: { $0.marker == marker }) { summary.observe(now - sent.sentAt) }
      state.awaited.removeAll { $0.marker <= marker }
    }
  }
}
