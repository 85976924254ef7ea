import Logging
import ParallaxServer
import ParallaxTesting
import TestSupport
import Testing

@testable import ParallaxControlPlane

/// The end of a fight of processes with one agent's id.
@Suite struct AgentIDContestTests {
  private let clock = ManualClock()
  private let lines = Recorder<String>()
  private let contests: AgentIDContests

  init() {
    let lines = lines
    contests = AgentIDContests(logger: Logger(label: "test") { _ in FieldHandler(lines: lines) })
  }

  private var now: Duration { clock.now.sinceStart }

  private func holder(_ number: Int, process: String? = nil) -> AgentIDContests.Holder {
    AgentIDContests.Holder(connectionID: "conn_\(number)", address: "10.0.0.\(1 + number % 2)", process: process)
  }

  /// Registers a connection in place of the one before, as long as the node lets it; returns the number of the last one.
  private func fight(_ connections: ClosedRange<Int>, pause: Duration = .milliseconds(10), process: (Int) -> String? = { _ in nil }) -> Int
  {
    for number in connections {
      guard contests.admits("agent_1", holder(number, process: process(number)), home: nil, at: now) else { return number - 1 }
      contests.registered("agent_1", holder(number, process: process(number)))
      if number > connections.lowerBound {
        contests.ended("agent_1", holder(number - 1, process: process(number - 1)), wasReplaced: true, at: now)
      }
      clock.advance(by: pause)
    }
    return connections.upperBound
  }

  @Test func theConnectedOneKeepsTheIDAfterFiveReplacementsAndTheLogSaysItOnce() {
    let last = fight(1...100)
    #expect(last == 1 + ContestTable.limit)
    for _ in 0..<10 { #expect(!contests.admits("agent_1", holder(last + 1), home: nil, at: now)) }
    #expect(
      lines.all == [
        "warning: several processes use one agent id; the later ones are refused agent=agent_1 holder=10.0.0.1 refused=10.0.0.2"
      ])
    #expect(contests.admits("agent_2", holder(1_000), home: nil, at: now), "another id is not affected")
  }

  @Test func aRefusedOneThatKeepsTryingStaysOutAndOneThatPausesComesIn() {
    let last = fight(1...100)
    for _ in 0..<10 {
      clock.advance(by: ContestTable.quiet - .milliseconds(1))
      #expect(!contests.admits("agent_1", holder(last + 1), home: nil, at: now))
    }
    clock.advance(by: ContestTable.quiet)
    #expect(contests.admits("agent_1", holder(last + 1), home: nil, at: now))
  }

  /// A process that waits a minute between its attempts is at each of ten nodes every ten minutes.
  @Test func aProcessThatTriesManyNodesStaysOut() {
    let last = fight(1...100)
    for _ in 0..<10 {
      clock.advance(by: .seconds(9 * 60))
      #expect(!contests.admits("agent_1", holder(last + 1), home: nil, at: now))
    }
  }

  @Test func whenTheConnectedOneHasLeftTheContestIsOver() {
    let last = fight(1...100)
    #expect(!contests.admits("agent_1", holder(last + 1), home: nil, at: now))
    contests.ended("agent_1", holder(last), wasReplaced: false, at: now)
    for number in 1...2 {
      #expect(contests.admits("agent_1", holder(last + number), home: nil, at: now), "also while the next connection stands")
      contests.registered("agent_1", holder(last + number))
    }
  }

  @Test func aProcessDoesNotFightWithItself() {
    #expect(fight(1...100) { _ in "p" } == 100)
    #expect(fight(101...200, process: { "p\($0 % 2)" }) == 101 + ContestTable.limit, "two processes that name themselves do")
  }

  @Test func rareReplacementsAreNoContest() {
    #expect(fight(1...100, pause: ContestTable.window / (ContestTable.limit - 2)) == 100)
  }

  @Test func anAgentThatAnotherNodeTookIsRefusedWhileItIsThere() {
    for number in 1...ContestTable.limit {
      contests.registered("agent_1", holder(number))
      contests.ended("agent_1", holder(number), wasReplaced: true, at: now)
    }
    #expect(!contests.admits("agent_1", holder(8), home: "node-b", at: now))
    #expect(lines.all.last?.contains("holder=node node-b refused=10.0.0.1") == true)
    #expect(contests.admits("agent_1", holder(8), home: nil, at: now))
  }

  @Test func anAgentLeavesWithItsReason() {
    func fields(_ departure: AgentDeparture) -> String {
      departure.metadata.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }.joined(separator: " ")
    }
    #expect(fields(AgentDeparture(.left, isDraining: false)) == "reason=goodbye")
    #expect(fields(AgentDeparture(.left, isDraining: true)) == "reason=drained")
    #expect(fields(AgentDeparture(.replaced, isDraining: false)) == "reason=replaced")
    #expect(fields(AgentDeparture(.silent, isDraining: true)) == "reason=silent")
    #expect(fields(AgentDeparture(.tooManyMessages, isDraining: false)) == "reason=too many messages")
    #expect(fields(AgentDeparture(.closedByAgent(code: .goingAway, reason: "bye"))) == "code=1001 detail=bye reason=closed by the agent")
    #expect(fields(AgentDeparture(.closedByServer(code: .normal, reason: ""))) == "code=1000 reason=closed by the node")
    #expect(fields(AgentDeparture(.protocolViolation(code: .messageTooBig, reason: "x"))) == "code=1009 detail=x reason=oversized message")
    #expect(fields(AgentDeparture(.protocolViolation(code: .protocolError, reason: "x"))) == "code=1002 detail=x reason=protocol error")
    #expect(fields(AgentDeparture(.slowReader(bytesWaiting: 9))) == "detail=9 bytes waited reason=slow reader")
    let long = String(repeating: "x", count: 1_000)
    #expect(fields(AgentDeparture(.connectionLost(long))).count < 300)
  }
}
