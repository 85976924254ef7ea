package import ParallaxAPI

/// An instant on both clocks: the monotonic one decides, the wall clock is what people read and what outlives the process.
package struct Moment: Sendable, Hashable {
  /// Since an arbitrary origin, on a clock that only goes forward.
  package var instant: Duration
  /// The reading of the wall clock.
  package var wall: Timestamp

  package init(instant: Duration, wall: Timestamp) {
    self.instant = instant
    self.wall = wall
  }
}
