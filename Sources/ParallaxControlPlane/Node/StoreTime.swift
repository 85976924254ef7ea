package import ParallaxAPI

/// The store's clock, extrapolated from its last reading by a monotonic clock, because the wall clocks of nodes differ and jump.
package struct StoreTime: Sendable {
  /// A slower reading is too inaccurate to replace an earlier one.
  private static let longestReading = Duration.seconds(1)

  private var last: (time: Timestamp, instant: Duration)?

  /// Creates a clock without a reading.
  package init() {}

  /// Records a reading, with the instants of its request and its reply by the monotonic clock.
  package mutating func read(_ time: Timestamp, sentAt: Duration, receivedAt: Duration) {
    guard last == nil || receivedAt - sentAt <= Self.longestReading else { return }
    last = (time, sentAt + (receivedAt - sentAt) / 2)
  }

  /// The time of the store at an instant of the monotonic clock; nil before the first reading.
  package func wall(at instant: Duration) -> Timestamp? {
    last.map { $0.time + (instant - $0.instant) }
  }
}
