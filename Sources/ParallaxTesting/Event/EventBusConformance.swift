import ParallaxAPI
import ParallaxConcurrency
import ParallaxHA
public import ParallaxState

/// The rules of every `EventBus`, as checks for any test framework: a check throws if the bus violates its rule.
///
/// The check of a bus that withholds an event waits forever: run the checks with a time limit.
public enum EventBusConformance {
  /// One rule with its check.
  public typealias Check = ConformanceCheck<any EventBus>

  /// All checks.
  public static let checks: [Check] = [
    Check("a subscription begins with a gap; then all events arrive in order, with their channel") { bus in
      var deliveries = bus.subscribe(to: Set(ClusterEvent.Channel.allCases)).makeAsyncIterator()
      try expect(await deliveries.next(), is: .gap, "the first delivery")
      for number in 1...5 {
        for channel in ClusterEvent.Channel.allCases { try await bus.publish(event(Int64(number)), on: channel) }
      }
      for number in 1...5 {
        for channel in ClusterEvent.Channel.allCases {
          try expect(await deliveries.next(), is: .event(event(Int64(number)), channel), "event \(number) of \(channel)")
        }
      }
    },
    Check("an event arrives as it was published") { bus in
      var deliveries = bus.subscribe(to: [.agent]).makeAsyncIterator()
      try expect(await deliveries.next(), is: .gap, "the first delivery")
      // A missing value and a null are equal in an event.
      for (index, value) in Sample.values.enumerated() where value != .null {
        var published = event(Int64(index), details: value)
        published.type = "registered \"ä\""
        try await bus.publish(published, on: .agent)
        try expect(await deliveries.next(), is: .event(published, .agent), "the event with \(value)")
      }
    },
    Check("a subscription delivers only its channels") { bus in
      var deliveries = bus.subscribe(to: [.execution, .cluster]).makeAsyncIterator()
      try expect(await deliveries.next(), is: .gap, "the first delivery")
      for channel in [ClusterEvent.Channel.agent, .cluster, .execution] { try await bus.publish(event(1), on: channel) }
      for channel in [ClusterEvent.Channel.cluster, .execution] {
        try expect(await deliveries.next(), is: .event(event(1), channel), "an event of \(channel)")
      }
    },
    Check("each subscriber gets every event") { bus in
      var all = (1...3).map { _ in bus.subscribe(to: [.cluster]).makeAsyncIterator() }
      for index in all.indices { try expect(await all[index].next(), is: .gap, "the first delivery") }
      try await bus.publish(event(1), on: .cluster)
      for index in all.indices {
        try expect(await all[index].next(), is: .event(event(1), .cluster), "what subscriber \(index) gets")
      }
    },
    Check("a jump in the sequence of a sender on a channel is a gap") { bus in
      var deliveries = bus.subscribe(to: [.cluster, .agent]).makeAsyncIterator()
      let published: [(ClusterEvent, ClusterEvent.Channel, isGap: Bool)] = [
        (event(7), .cluster, false), (event(8), .cluster, false), (event(10), .cluster, true), (event(11), .cluster, false),
        (event(3), .agent, false), (event(12), .cluster, false), (event(1, Sample.bob), .cluster, false),
        (event(3, Sample.bob), .cluster, true), (event(1, Sample.aliceAgain), .cluster, false), (event(13), .cluster, false),
        (event(5), .agent, true), (event(5), .agent, false), (event(.max), .agent, true), (event(.min), .agent, false),
      ]
      try expect(await deliveries.next(), is: .gap, "the first delivery")
      for (event, channel, _) in published { try await bus.publish(event, on: channel) }
      for (event, channel, isGap) in published {
        if isGap { try expect(await deliveries.next(), is: .gap, "what comes before \(event) on \(channel)") }
        try expect(await deliveries.next(), is: .event(event, channel), "the event")
      }
    },
    Check("a subscription ends with its consumer's task") { bus in
      let delivered = WakeUp()
      try await withThrowingTaskGroup(of: Int.self) { group in
        group.addTask {
          var count = 0
          for await _ in bus.subscribe(to: [.cluster]) {
            count += 1
            delivered.signal()
          }
          return count
        }
        try await delivered.wait()
        group.cancelAll()
        try expect(await group.next(), is: 1, "the number of deliveries")
      }
    },
  ]

  private static func event(_ sequence: Int64, _ session: NodeSession = Sample.alice, details: JSONValue? = nil) -> ClusterEvent {
    ClusterEvent(
      type: "marker", id: session.nodeID, session: session, timestamp: Sample.instant, sequence: sequence, details: details)
  }
}
