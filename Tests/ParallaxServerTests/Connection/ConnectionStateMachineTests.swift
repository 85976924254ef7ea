import Testing

@testable import ParallaxServer

@Suite struct ConnectionStateMachineTests {
  private var machine = ConnectionStateMachine()

  @Test mutating func proceedsWhenRequestAndResponseAreComplete() {
    machine.requestHead(.router, keepAlive: true)
    #expect(machine.requestEnd() == .nothing)
    #expect(!machine.takesRequest)
    #expect(machine.answerEnd() == .proceed)
    #expect(machine.takesRequest)
  }

  @Test mutating func readsAnEarlyAnsweredRequestToItsEnd() {
    machine.requestHead(.router, keepAlive: true)
    #expect(machine.answerEnd() == .nothing)
    #expect(machine.requestEnd() == .proceed)
  }

  @Test mutating func stopsReadingAfterAnEarlyResponseThatCloses() {
    machine.requestHead(.router, keepAlive: true)
    machine.endAfterAnswer()
    #expect(machine.answerEnd() == .linger)
    #expect(machine.requestEnd() == .nothing)
  }

  @Test mutating func lingersWhenTheClientWantsToClose() {
    machine.requestHead(.front, keepAlive: false)
    #expect(machine.requestEnd() == .answer)
    #expect(machine.answerEnd() == .linger)
    #expect(machine.stop() == .closeIfFlushed)
  }

  @Test mutating func stopsAtOnceBetweenRequestsOtherwiseAfterTheResponse() {
    #expect(machine.stop() == .closeNow)
    machine.requestHead(.router, keepAlive: true)
    #expect(machine.stop() == .afterAnswer)
    #expect(machine.requestEnd() == .nothing)
    #expect(machine.answerEnd() == .linger)
  }

  @Test mutating func answersMalformedBytesBetweenRequests() {
    #expect(machine.malformed() == .answer)
    #expect(machine.answerEnd() == .linger)
  }

  @Test mutating func reportsAMalformedRestOfARequestToTheRouter() {
    machine.requestHead(.router, keepAlive: true)
    #expect(machine.malformed() == .notifyRouter)
    #expect(machine.answerEnd() == .linger)
  }

  @Test mutating func ignoresMalformedBytesBehindAResponse() {
    machine.requestHead(.router, keepAlive: true)
    #expect(machine.answerEnd() == .nothing)
    #expect(machine.malformed() == .linger)
    #expect(machine.state == .lingering)
  }

  @Test mutating func ignoresHTTPAfterAnUpgrade() {
    machine.requestHead(.front, keepAlive: true)
    #expect(machine.requestEnd() == .answer)
    machine.upgrade()
    #expect(machine.stop() == .ignore)
    #expect(machine.answerEnd() == .nothing)
    #expect(machine.malformed() == .ignore)
  }
}
