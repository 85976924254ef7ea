package import ParallaxAPI

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// Both clocks of a node.
///
/// The monotonic one counts from the clock's making and goes on while the machine sleeps.
package struct NodeClock: Sendable {
  private let origin = ContinuousClock.now

  package init() {}

  package var now: Moment {
    Moment(instant: origin.duration(to: .now), wall: NodeClock.wall)
  }

  /// Sleeps on the monotonic clock.
  ///
  /// - Parameter duration: How long.
  /// - Throws: `CancellationError` if the task is cancelled before.
  package func sleep(for duration: Duration) async throws {
    try await ContinuousClock().sleep(for: duration)
  }

  /// The wall clock's reading.
  package static var wall: Timestamp {
    Timestamp(milliseconds: Int64((Date.now.timeIntervalSince1970 * 1_000).rounded(.down)))
  }
}
