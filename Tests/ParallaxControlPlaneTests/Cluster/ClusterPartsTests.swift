import Logging
import ParallaxAPI
import ParallaxHA
import ParallaxMetrics
import ParallaxState
import ParallaxTesting
import TestSupport
import Testing

@testable import ParallaxControlPlane

@Suite struct AgentAnnouncementTests {
  @Test(arguments: [
    AgentAnnouncement.registered("a", epoch: 7, capabilities: ["x", "y"], limit: 3, activeTasks: ["task_1_0"]),
    .registered("a", epoch: 7, capabilities: [], limit: 1, activeTasks: nil),
    .registered("a", epoch: 7, capabilities: [], limit: 1, activeTasks: [], process: "p"),
    .connectionEnded("a", epoch: 7, Cargo(sent: ["task_1_0"], unsent: ["task_2_0", "task_3_0"])),
    .changed("a", epoch: 7, capabilities: ["x"], limit: 3, isDraining: true), .left("a", epoch: 7, graceful: true),
    .loads(["a": 2, "b": 0]),
  ])
  func announcementsSurviveARoundTrip(news: AgentAnnouncement) {
    let form = news.event(nodeID: "n")
    let event = ClusterEvent(
      type: form.type, id: form.id, session: NodeSession(nodeID: "n", incarnation: "1"), timestamp: Timestamp(milliseconds: 0), sequence: 1,
      details: form.details)
    #expect(AgentAnnouncement(event) == news)
  }

  @Test(arguments: [
    ("registered", JSONValue.object([:])), ("registered", JSONValue.object(["epoch": 1])), ("dance", JSONValue.object(["epoch": 1])),
    ("left", JSONValue.object(["epoch": "seven"])),
  ])
  func otherEventsAreNoAnnouncements(type: String, details: JSONValue) {
    let event = ClusterEvent(
      type: type, id: "a", session: NodeSession(nodeID: "n", incarnation: "1"), timestamp: Timestamp(milliseconds: 0), sequence: 1,
      details: details)
    #expect(AgentAnnouncement(event) == nil)
  }
}

@Suite(.timeLimit(.minutes(1))) struct EventPublisherTests {
  private static let session = NodeSession(nodeID: "n", incarnation: "1")

  @Test func eventsAreNumberedInTheirOrderOnEachChannel() async throws {
    let bus = InMemoryEventBus()
    let stream = bus.subscribe(to: [.agent, .cluster])
    let publisher = EventPublisher(bus: bus, session: Self.session, batchSize: 2, clock: NodeClock(), logger: Logger(label: "test"))
    for number in 1...3 {
      publisher.publish("a\(number)", id: "x", on: .agent)
      publisher.publish("c\(number)", id: "x", on: .cluster)
    }
    await withTaskGroup(of: Void.self) { group in
      group.addTask { try? await publisher.run() }
      var seen: [String] = []
      for await delivery in stream {
        guard case .event(let event, let channel) = delivery else { continue }
        seen.append("\(channel.rawValue) \(event.type) \(event.sequence)")
        if seen.count == 6 { break }
      }
      #expect(seen.filter { $0.hasPrefix("agent") } == ["agent a1 1", "agent a2 2", "agent a3 3"])
      #expect(seen.filter { $0.hasPrefix("cluster") } == ["cluster c1 1", "cluster c2 2", "cluster c3 3"])
      group.cancelAll()
    }
  }
}

extension EventPublisherTests {
  /// A bus that records the batches.
  private struct RecordingBus: EventBus {
    let batches = Recorder<[String]>()

    func publish(_ events: [ClusterEvent], on channel: ClusterEvent.Channel) async throws { batches.add(events.map(\.type)) }

    func subscribe(to channels: Set<ClusterEvent.Channel>) -> AsyncStream<EventDelivery> { AsyncStream { nil } }
  }

  @Test func anEventIsPublishedAtOnceAndThoseOfTheNextFiveMillisecondsTogether() async throws {
    let clock = ManualClock()
    let bus = RecordingBus()
    let publisher = EventPublisher(bus: bus, session: Self.session, batchSize: 10, clock: NodeClock(clock), logger: Logger(label: "test"))
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { try await publisher.run() }
      publisher.publish("1", id: "x", on: .agent)
      try await clock.sleepers()
      #expect(bus.batches.all == [["1"]])
      publisher.publish("2", id: "x", on: .agent)
      clock.advance(by: .milliseconds(4))
      publisher.publish("3", id: "x", on: .agent)
      for _ in 0..<100 { await Task.yield() }
      #expect(bus.batches.count == 1)
      clock.advance(by: .milliseconds(1))
      try await clock.sleepers()
      #expect(bus.batches.all == [["1"], ["2", "3"]])
      group.cancelAll()
    }
  }
}

@Suite struct SyncLatencyTests {
  @Test func aMarkerCountsWithItsRoundTripTime() throws {
    let registry = MetricsRegistry()
    let latency = try SyncLatency(registry: registry)
    let marker = latency.send(at: .seconds(1))
    latency.received(marker, at: .milliseconds(1_250))
    #expect(text(registry).contains("parallax_ha_sync_latency_seconds_sum 0.25"))
    // A marker counts once.
    latency.received(marker, at: .seconds(9))
    #expect(text(registry).contains("parallax_ha_sync_latency_seconds_count 1"))
  }

  @Test func anOverdueMarkerCountsWithItsAge() throws {
    let registry = MetricsRegistry()
    let latency = try SyncLatency(registry: registry)
    for second in 0...5 { _ = latency.send(at: .seconds(second)) }
    let quantile = text(registry).split(separator: "\n").first { $0.contains("quantile=\"0.99\"") }
    let value = try #require(quantile?.split(separator: " ").last.flatMap { Double($0) })
    #expect(abs(value - 5) < 0.1)
  }

  @Test func aReturnedMarkerDropsEarlierOnes() throws {
    let registry = MetricsRegistry()
    let latency = try SyncLatency(registry: registry)
    _ = latency.send(at: .zero)
    let second = latency.send(at: .milliseconds(500))
    latency.received(second, at: .milliseconds(600))
    _ = latency.send(at: .seconds(9))
    #expect(text(registry).contains("parallax_ha_sync_latency_seconds_count 1"))
  }

  private func text(_ registry: MetricsRegistry) -> String { String(decoding: registry.render(.text), as: UTF8.self) }
}
