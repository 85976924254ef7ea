package import ParallaxAPI

/// An instant on both clocks: decisions use the monotonic clock; people read the wall clock, which also outlives the process.
package struct Moment: Sendable, Hashable {
  /// The reading of the monotonic clock, since an arbitrary origin.
  package var instant: Duration
  /// The reading of the wall clock.
  package var wall: Timestamp

  package init(instant: Duration, wall: Timestamp) {
    self.instant = instant
    self.wall = wall
  }
}
