import ParallaxMetrics
import Synchronization

/// Measures the delay of events through the store: the time from sending an event until this node receives it back, on one clock.
///
/// One marker a second keeps the measure current on an idle node. Each second counts the age of an overdue marker, so that a dead
/// subscription shows as lag, not as silence.
final class SyncLatency: Sendable {
  private struct State {
    var lastMarker: Int64 = 0
    /// Markers not received back yet, oldest first, each with the time of sending.
    var awaited: [(marker: Int64, sentAt: Duration)] = []
    /// The delay of the last marker that returned.
    var last: Duration?
  }

  /// The largest number of awaited markers; the measure needs the oldest, so newer ones are left out.
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

  /// Records that a marker is sent; returns its number.
  func send(at now: Duration) -> Int64 {
    state.withLock { state in
      if let oldest = state.awaited.first, now - oldest.sentAt >= Self.overdueAfter { summary.observe(now - oldest.sentAt) }
      state.lastMarker += 1
      if state.awaited.count < Self.capacity { state.awaited.append((state.lastMarker, now)) }
      return state.lastMarker
    }
  }

  /// Records that a marker returned; earlier ones are lost, since events keep their order.
  func received(_ marker: Int64, at now: Duration) {
    state.withLock { state in
      if let sent = state.awaited.first(where: { $0.marker == marker }) {
        summary.observe(now - sent.sentAt)
        state.last = now - sent.sentAt
      }
      state.awaited.removeAll { $0.marker <= marker }
    }
  }

  /// The delay of the last marker that returned, and the age of the oldest one that has not; nil without one.
  func state(at now: Duration) -> (last: Duration?, overdue: Duration?) {
    state.withLock { state in (state.last, state.awaited.first.map { now - $0.sentAt }) }
  }
}
