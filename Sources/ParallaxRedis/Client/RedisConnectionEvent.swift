import ParallaxConcurrency

/// A new shared connection to a server, reported by ``RedisClient/connectionEvents()``.
public struct RedisConnectionEvent: Sendable {
  private let instant: MonotonicClock.Instant
  private let clock: MonotonicClock

  init(instant: MonotonicClock.Instant, clock: MonotonicClock) {
    self.instant = instant
    self.clock = clock
  }

  /// The time since the connection was made, at each access.
  ///
  /// A connection is made before its first acknowledgement: an older acknowledgement belongs to an earlier connection.
  public var age: Duration { instant.duration(to: clock.now) }
}
