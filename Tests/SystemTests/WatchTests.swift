import ParallaxTesting
import TestSupport
import Testing

@testable import parallax

/// `--watch`, on a manual clock.
@Suite(.timeLimit(.minutes(1))) struct WatchTests {
  private struct Interrupted: Error {}

  @Test func aViewIsShownAtEachIntervalUntilAnError() async throws {
    let clock = ManualClock()
    let shownAt = Recorder<Duration>()
    let watch = Task {
      try await LiveView.repeated(every: .seconds(1), clock: clock) {
        shownAt.add(clock.now.sinceStart)
        if shownAt.count == 4 { throw Interrupted() }
      }
    }
    for _ in 0..<3 {
      try await clock.sleepers()
      clock.advance(by: .seconds(1))
    }
    await #expect(throws: Interrupted.self) { try await watch.value }
    #expect(shownAt.all == [.zero, .seconds(1), .seconds(2), .seconds(3)])
  }
}
