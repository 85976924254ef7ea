/// A type-erased clock whose instants count from its creation; all copies share them.
package struct MonotonicClock: Clock {
  /// A point in the clock's time.
  package struct Instant: InstantProtocol {
    /// The time since the clock's creation.
    package var sinceOrigin: Duration

    /// Makes an instant.
    ///
    /// - Parameter sinceOrigin: The time since the clock's creation.
    package init(sinceOrigin: Duration) {
      self.sinceOrigin = sinceOrigin
    }

    /// The instant that lies a duration later.
    package func advanced(by duration: Duration) -> Instant {
      Instant(sinceOrigin: sinceOrigin + duration)
    }

    /// The time from this instant to another; negative if the other is earlier.
    package func duration(to other: Instant) -> Duration {
      other.sinceOrigin - sinceOrigin
    }

    /// Orders instants by time.
    package static func < (left: Instant, right: Instant) -> Bool {
      left.sinceOrigin < right.sinceOrigin
    }
  }

  private let elapsed: @Sendable () -> Duration
  private let suspend: @Sendable (Duration, Duration?) async throws -> Void

  /// The clock's resolution.
  package let minimumResolution: Duration

  /// Wraps a clock, or copies a clock of this type.
  ///
  /// - Parameter clock: The clock to wrap.
  package init<C: Clock>(_ clock: C) where C.Duration == Duration {
    if let clock = clock as? MonotonicClock {
      self = clock
      return
    }
    let origin = clock.now
    elapsed = { origin.duration(to: clock.now) }
    suspend = { try await clock.sleep(until: origin.advanced(by: $0), tolerance: $1) }
    minimumResolution = clock.minimumResolution
  }

  /// The current instant.
  package var now: Instant { Instant(sinceOrigin: elapsed()) }

  /// Sleeps until an instant; returns at once if the instant has passed.
  ///
  /// - Parameters:
  ///   - deadline: The end of the sleep.
  ///   - tolerance: The acceptable delay of the end; nil lets the clock decide.
  /// - Throws: `CancellationError` if the task is cancelled before.
  package func sleep(until deadline: Instant, tolerance: Duration? = nil) async throws {
    try await suspend(deadline.sinceOrigin, tolerance)
  }
}
