package import ParallaxAPI
package import ParallaxConcurrency
import Synchronization

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// The two clocks of a node: a wall clock for timestamps and a monotonic clock for waits.
///
/// The monotonic clock counts from its creation and, unless a test supplies another, continues while the machine sleeps.
package struct NodeClock: Sendable {
  /// The monotonic clock.
  package let monotonic: MonotonicClock
  private let readWall: @Sendable () -> Timestamp
  private let storeTime = SharedStoreTime()

  /// Makes a node's clocks from those of this machine.
  package init() {
    self.init(ContinuousClock())
  }

  /// Makes a node's clocks from other clocks.
  ///
  /// - Parameters:
  ///   - clock: The monotonic clock.
  ///   - wall: Reads the wall clock; that of this machine by default.
  package init(_ clock: some Clock<Duration>, wall: @escaping @Sendable () -> Timestamp = { NodeClock.wall }) {
    monotonic = MonotonicClock(clock)
    readWall = wall
  }

  /// The reading of both clocks; the wall clock is the store's after its first reading, so that all nodes share one.
  package var now: Moment {
    let instant = monotonic.now.sinceOrigin
    return Moment(instant: instant, wall: storeTime.value.withLock { $0.wall(at: instant) } ?? readWall())
  }

  /// Reads the store's clock, which becomes the wall clock of the node.
  ///
  /// - Parameter read: Reads the store's clock.
  /// - Throws: The error of `read`.
  package func follow(_ read: () async throws -> Timestamp) async throws {
    let begin = monotonic.now.sinceOrigin
    let time = try await read()
    let end = monotonic.now.sinceOrigin
    storeTime.value.withLock { $0.read(time, sentAt: begin, receivedAt: end) }
  }

  /// Sleeps on the monotonic clock.
  ///
  /// - Parameter duration: The length of the sleep.
  /// - Throws: `CancellationError` if the task is cancelled before.
  package func sleep(for duration: Duration) async throws {
    try await monotonic.sleep(for: duration)
  }

  /// The reading of this machine's wall clock.
  package static var wall: Timestamp {
    Timestamp(milliseconds: Int64((Date.now.timeIntervalSince1970 * 1_000).rounded(.down)))
  }
}

private final class SharedStoreTime: Sendable {
  let value = Mutex(StoreTime())
}
