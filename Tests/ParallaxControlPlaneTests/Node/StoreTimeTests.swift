import ParallaxAPI
import ParallaxControlPlane
import Testing

@Suite struct StoreTimeTests {
  private static let noon = Timestamp(milliseconds: 1_800_000_000_000)

  @Test func theTimeIsUnknownBeforeTheFirstReading() {
    #expect(StoreTime().wall(at: .seconds(5)) == nil)
  }

  @Test func theTimeContinuesFromTheMiddleOfItsReading() {
    var time = StoreTime()
    time.read(Self.noon, sentAt: .seconds(10), receivedAt: .milliseconds(10_200))
    #expect(time.wall(at: .milliseconds(10_100)) == Self.noon)
    #expect(time.wall(at: .milliseconds(70_100)) == Self.noon + .seconds(60))
  }

  @Test func aSlowReadingReplacesNoOther() {
    var time = StoreTime()
    time.read(Self.noon, sentAt: .zero, receivedAt: .seconds(20))
    #expect(time.wall(at: .seconds(10)) == Self.noon)
    time.read(Self.noon + .seconds(100), sentAt: .seconds(30), receivedAt: .milliseconds(32_000))
    #expect(time.wall(at: .seconds(10)) == Self.noon)
    time.read(Self.noon + .seconds(100), sentAt: .seconds(40), receivedAt: .seconds(40))
    #expect(time.wall(at: .seconds(41)) == Self.noon + .seconds(101))
  }
}

@Suite struct SessionOpeningsTests {
  @Test func onlyAConfirmedSessionCanBeLost() {
    var openings = SessionOpenings()
    let answers = [true, false, true].map { openings.answered(isNew: $0, generation: nil) }
    #expect(answers == [false, false, true])
  }

  /// The store reports a new entry only once, and that reply may be lost.
  @Test func theGenerationRevealsALossWhoseReplyWasLost() {
    var openings = SessionOpenings()
    for _ in 0..<5 { _ = openings.answered(isNew: false, generation: nil) }
    #expect(!openings.needsGeneration)
    openings.failed()
    #expect(openings.needsGeneration)
    let isForgotten = openings.answered(isNew: false, generation: 2)
    #expect(isForgotten && !openings.needsGeneration)
  }

  @Test func aPresentSessionIsNotLost() {
    var openings = SessionOpenings()
    for _ in 0..<5 { _ = openings.answered(isNew: false, generation: nil) }
    for _ in 0..<2 {
      openings.failed()
      let isForgotten = openings.answered(isNew: false, generation: 7)
      #expect(!isForgotten)
    }
  }
}
