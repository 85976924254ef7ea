import ParallaxAPI
import ParallaxHA
import ParallaxState
import ParallaxTesting
import Testing

@Suite(.timeLimit(.minutes(1))) struct InMemoryEventBusTests {
  @Test("The in-memory bus keeps the rules", arguments: EventBusConformance.checks)
  func conforms(to check: EventBusConformance.Check) async throws {
    try await check.run { InMemoryEventBus() }
  }

  @Test func aSlowConsumerLosesTheNewestEventsAndFindsAGap() async {
    let bus = InMemoryEventBus(bufferSize: 4)
    var deliveries = bus.subscribe(to: [.cluster]).makeAsyncIterator()
    for number in 1...100 { bus.publish([.sample(Int64(number))], on: .cluster) }
    #expect(await deliveries.next() == .gap)
    for number in 1...3 { #expect(await deliveries.next() == .event(.sample(Int64(number)), .cluster)) }
    #expect(await deliveries.next() == .gap)
    bus.publish([.sample(101)], on: .cluster)
    #expect(await deliveries.next() == .event(.sample(101), .cluster))
  }

  @Test func aSubscriptionEndsWithItsStream() {
    let bus = InMemoryEventBus()
    do {
      let stream = bus.subscribe(to: [.cluster])
      #expect(bus.subscriberCount == 1)
      withExtendedLifetime(stream) {}
    }
    #expect(bus.subscriberCount == 0)
  }
}

extension ClusterEvent {
  /// An event of one node session.
  static func sample(_ sequence: Int64, incarnation: String = "1") -> ClusterEvent {
    ClusterEvent(
      type: "marker", id: "node", session: NodeSession(nodeID: "node", incarnation: incarnation),
      timestamp: Timestamp(milliseconds: 1_768_473_000_250), sequence: sequence)
  }
}
