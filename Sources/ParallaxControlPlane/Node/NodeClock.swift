package import ParallaxAPI

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// Both clocks of a node: what it reads the time from, and what its waits are measured by.
///
/// The monotonic one counts from the clock's making and, unless a test gives another, goes on while the machine sleeps.
package struct NodeClock: Sendable {
  /// The monotonic clock.
  package let monotonic: MonotonicClock
  private let readWall: @Sendable () -> Timestamp

  /// Makes the clocks of this machine.
  package init() {
    self.init(ContinuousClock())
  }

  /// Makes a node's clocks from others.
  ///
  /// - Parameters:
  ///   - clock: The monotonic clock.
  ///   - wall: Reads the wall clock.
  package init(_ clock: some Clock<Duration>, wall: @escaping @Sendable () -> Timestamp = { NodeClock.wall }) {
    monotonic = MonotonicClock(clock)
    readWall = wall
  }

  /// What both clocks show.
  package var now: Moment {
    Moment(instant: monotonic.now.sinceOrigin, wall: readWall())
  }

  /// Sleeps on the monotonic clock.
  ///
  /// - Parameter duration: How long.
  /// - Throws: `CancellationError` if the task is cancelled before.
  package func sleep(for duration: Duration) async throws {
    try await monotonic.sleep(for: duration)
  }

  /// The reading of this machine's wall clock.
  package static var wall: Timestamp {
    Timestamp(milliseconds: Int64((Date.now.timeIntervalSince1970 * 1_000).rounded(.down)))
  }
}

/// A clock of any type whose instants count from its making.
package struct MonotonicClock: Clock {
  /// A point in the clock's time.
  package struct Instant: InstantProtocol {
    /// The time since the clock was made.
    package var sinceOrigin: Duration

    /// Makes an instant.
    ///
    /// - Parameter sinceOrigin: The time since the clock was made.
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

  /// The shortest time that the clock tells apart.
  package let minimumResolution: Duration

  /// Makes a clock that shows the time of another.
  ///
  /// - Parameter clock: The other clock.
  package init<C: Clock>(_ clock: C) where C.Duration == Duration {
    let origin = clock.now
    elapsed = { origin.duration(to: clock.now) }
    suspend = { try await clock.sleep(until: origin.advanced(by: $0), tolerance: $1) }
    minimumResolution = clock.minimumResolution
  }

  /// Where the clock stands.
  package var now: Instant { Instant(sinceOrigin: elapsed()) }

  /// Sleeps until an instant; at once if the clock stands there already.
  ///
  /// - Parameters:
  ///   - deadline: Until when.
  ///   - tolerance: How much later the sleep may end.
  /// - Throws: `CancellationError` if the task is cancelled before.
  package func sleep(until deadline: Instant, tolerance: Duration? = nil) async throws {
    try await suspend(deadline.sinceOrigin, tolerance)
  }
}
