import ParallaxAPI
import ParallaxHA
import ParallaxState
import Testing

@testable import ParallaxControlPlane

/// What the charts of the dashboard show.
@Suite struct ActivityTests {
  private let start = Timestamp(milliseconds: 1_768_473_000_000)

  private func ended(_ status: ExecutionStatus, after time: Duration) -> Execution {
    var execution = Execution(
      id: "exec_1", pattern: World.pattern(), input: 1, createdAt: start, deadline: start + .seconds(60), owner: World.session)
    execution.status = status
    execution.completedAt = start + time
    return execution
  }

  @Test func aSampleCountsWhatEndedSinceTheLastOne() {
    let meter = ActivityMeter()
    for (status, count) in [(ExecutionStatus.completed, 4), (.failed, 3), (.timedOut, 2), (.cancelled, 1)] {
      for _ in 0..<count { meter.ended(ended(status, after: .milliseconds(20))) }
    }
    let sample = meter.take(at: start, running: 5, waiting: 6, agents: 7)
    #expect((sample.completed, sample.failed, sample.timedOut, sample.cancelled) == (4, 3, 2, 1))
    #expect((sample.running, sample.waiting, sample.agents) == (5, 6, 7))
    let next = meter.take(at: start, running: 0, waiting: 0, agents: 0)
    #expect(next == ActivitySample(at: start), "nothing is counted twice")
  }

  @Test func onlyCompletedExecutionsHaveTimes() {
    let meter = ActivityMeter()
    meter.ended(ended(.timedOut, after: .seconds(60)))
    #expect(meter.take(at: start, running: 0, waiting: 0, agents: 0).p99 == nil)
  }

  @Test(arguments: [1, 7, 8, 9, 100, 1_234, 15_999, 1_000_000, 86_400_000_000])
  func aQuantileIsWithinSevenPercent(microseconds: Int) throws {
    var histogram = LatencyHistogram()
    histogram.record(.microseconds(microseconds))
    for quantile in [0.0, 0.5, 0.99, 1] {
      let found = try #require(histogram.quantile(quantile)) * 1_000
      #expect(abs(found - Double(microseconds)) <= 0.07 * Double(microseconds), "\(found)")
    }
  }

  @Test func quantilesAreThoseOfTheRecordedTimes() throws {
    var histogram = LatencyHistogram()
    for milliseconds in 1...1_000 { histogram.record(.milliseconds(milliseconds)) }
    for (quantile, expected) in [(0.5, 500.0), (0.9, 900), (0.99, 990), (1, 1_000)] {
      let found = try #require(histogram.quantile(quantile))
      #expect(abs(found - expected) <= 0.07 * expected, "\(quantile): \(found)")
    }
    #expect(LatencyHistogram().quantile(0.5) == nil)
  }

  @Test func timesOutOfRangeAreKeptWithinIt() {
    var histogram = LatencyHistogram()
    histogram.record(.seconds(-1))
    #expect(histogram.quantile(1) == 0)
    histogram.record(.seconds(1 << 40))
    #expect(histogram.quantile(1) ?? 0 > 1_000_000_000)
  }

  @Test func aQuarterOfAnHourIsKept() {
    let activity = Activity()
    for index in 0..<200 {
      activity.add(ActivitySample(at: start + .seconds(5 * index), completed: index), of: "node-1", at: .seconds(5 * index))
    }
    #expect(activity.document.nodes["node-1"]?.map(\.completed) == Array(20..<200))
    #expect(activity.document.interval.duration == .seconds(5))
  }

  @Test func aNodeWithoutSamplesIsForgotten() {
    let activity = Activity()
    activity.add(ActivitySample(at: start), of: "gone", at: .zero)
    activity.add(ActivitySample(at: start), of: "node-1", at: .seconds(900))
    #expect(activity.document.nodes.keys.sorted() == ["gone", "node-1"])
    activity.add(ActivitySample(at: start), of: "node-1", at: .seconds(901))
    #expect(activity.document.nodes.keys.sorted() == ["node-1"])
  }

  @Test func aNodeWithAWrongClockForgetsNoOther() {
    let activity = Activity()
    activity.add(ActivitySample(at: start), of: "node-1", at: .zero)
    activity.add(ActivitySample(at: start + .seconds(86_400)), of: "ahead", at: .seconds(1))
    activity.add(ActivitySample(at: start - .seconds(86_400)), of: "behind", at: .seconds(2))
    #expect(activity.document.nodes.keys.sorted() == ["ahead", "behind", "node-1"])
  }

  @Test func theNumberOfNodesIsBounded() {
    let activity = Activity()
    for index in 0..<1_000 { activity.add(ActivitySample(at: start), of: "node-\(index)", at: .zero) }
    #expect(activity.document.nodes.count == 256)
    activity.add(ActivitySample(at: start, completed: 1), of: "node-0", at: .zero)
    #expect(activity.document.nodes["node-0"]?.count == 2, "those that are known go on")
  }

  @Test func aSampleTravelsInAnEvent() throws {
    let samples = [
      ActivitySample(at: start, completed: 1, failed: 2, timedOut: 3, cancelled: 4, p50: 5.5, p99: 6, running: 7, waiting: 8, agents: 9),
      ActivitySample(at: start),
    ]
    for sample in samples {
      let details = try JSON.decode(JSONValue.self, from: JSON.encode(sample.details))
      #expect(ActivitySample(details: details) == sample)
      // What the dashboard reads from events and from the document is the same.
      #expect(try JSON.decode(JSONValue.self, from: JSON.encode(sample)) == details)
    }
    #expect(ActivitySample(details: ["at": "yesterday"]) == nil)
    #expect(ActivitySample(details: nil) == nil)
  }

  @Test func anotherNodesSampleIsKeptAndTheOwnOneIsNot() {
    let policy = ClusterEventPolicy(session: World.session)
    let sample = ActivitySample(at: start, completed: 3)
    func effects(from sender: NodeSession) -> [ClusterEventPolicy.Effect] {
      let event = ClusterEvent(
        type: "activity", id: sender.nodeID, session: sender, timestamp: start, sequence: 1, details: sample.details)
      return policy.effects(of: .event(event, .cluster))
    }
    #expect(effects(from: World.other) == [.activity(sample, of: World.other.nodeID)])
    #expect(effects(from: World.session) == [])
  }
}
