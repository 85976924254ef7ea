import ParallaxState
import Testing

@Suite struct EventSequencesTests {
  @Test func aSkippedNumberIsReportedOnce() {
    var sequences = EventSequences()
    let skips = [4, 5, 7, 6, 8, 8, 10].map { sequences.skips(to: .sample($0), on: .cluster) }
    #expect(skips == [false, false, true, false, false, false, true])
  }

  @Test func aResetForgetsEarlierNumbers() {
    var sequences = EventSequences()
    let first = sequences.skips(to: .sample(1), on: .cluster)
    sequences.reset()
    let later = [9, 11].map { sequences.skips(to: .sample($0), on: .cluster) }
    #expect([first] + later == [false, false, true])
  }

  @Test func tooManySendersCauseAResetWithAGap() {
    var sequences = EventSequences()
    let gaps = (1...30_000).filter { sequences.skips(to: .sample(1, incarnation: "\($0)"), on: .cluster) }
    #expect(gaps == [10_001, 20_001])
  }
}
