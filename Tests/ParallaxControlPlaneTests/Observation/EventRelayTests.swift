import ParallaxAPI
import ParallaxHA
import ParallaxServer
import ParallaxState
import ParallaxTesting
import TestSupport
import Testing

@testable import ParallaxControlPlane

/// The stream of events for clients, on a manual clock.
@Suite(.timeLimit(.minutes(1))) struct EventRelayTests {
  private let clock = ManualClock()
  private let bus = InMemoryEventBus()
  private let relay: EventRelay

  init() {
    relay = EventRelay(bus: bus, session: World.session, clock: NodeClock(clock))
  }

  private func publish(_ type: String, _ sequence: Int64, on channel: ClusterEvent.Channel = .execution) {
    bus.publish(
      [ClusterEvent(type: type, id: "exec_1", session: World.other, timestamp: World.start, sequence: sequence, details: ["x": 1])],
      on: channel)
  }

  private func name(_ event: ServerSentEvent?) -> String? {
    guard case .event(let name, _, _) = event else { return event == .comment ? "comment" : nil }
    return name
  }

  private func id(_ event: ServerSentEvent?) -> String? {
    guard case .event(_, let id, _) = event else { return nil }
    return id
  }

  /// Opens a stream and reads up to the first gap, the beginning of the subscription.
  private func open() async -> AsyncStream<ServerSentEvent>.Iterator {
    var stream = relay.stream(after: nil, channels: Set(ClusterEvent.Channel.allCases)).makeAsyncIterator()
    #expect(name(await stream.next()) == "hello")
    #expect(name(await stream.next()) == "gap")
    return stream
  }

  @Test func eventsArriveInOrderWithoutWhatNodesTellEachOther() async throws {
    try await running([relay]) {
      var stream = await open()
      publish("marker", 1, on: .cluster)
      publish("loads_wanted", 2, on: .cluster)
      publish("loads", 1, on: .agent)
      publish("connection_ended", 2, on: .agent)
      publish("completed", 1)
      guard case .event("execution", let id?, let data) = await stream.next() else {
        Issue.record("expected an event")
        return
      }
      #expect(id.hasPrefix("\(World.session.incarnation)-"))
      #expect(
        String(decoding: data, as: UTF8.self)
          == #"{"details":{"x":1},"id":"exec_1","nodeId":"\#(World.other.nodeID)","timestamp":"\#(World.start)","type":"completed"}"#)
    }
  }

  @Test func aClientThatComesBackMissesNothing() async throws {
    try await running([relay]) {
      var first = await open()
      for sequence in 1...3 { publish("completed", Int64(sequence)) }
      let seen = id(await first.next())
      var second = relay.stream(after: seen, channels: [.execution]).makeAsyncIterator()
      #expect(name(await second.next()) == "hello")
      for _ in 0..<2 {
        let (left, right) = (await first.next(), await second.next())
        #expect(left == right && name(left) == "execution")
      }
    }
  }

  @Test(arguments: ["other-1", "7", "", "-", "\(World.session.incarnation)-99999", "\(World.session.incarnation)--1"])
  func anIDOfNoWindowBeginsWithAGap(lastID: String) async throws {
    try await running([relay]) {
      _ = await open()
      var stream = relay.stream(after: lastID, channels: [.execution]).makeAsyncIterator()
      #expect(name(await stream.next()) == "hello")
      #expect(name(await stream.next()) == "gap")
    }
  }

  @Test func aClientThatDoesNotKeepUpGetsAGapAndTheNewestEvents() async throws {
    let bus = InMemoryEventBus(bufferSize: 10_000)
    let relay = EventRelay(bus: bus, session: World.session, clock: NodeClock(clock))
    try await running([relay]) {
      var slow = relay.stream(after: nil, channels: [.execution]).makeAsyncIterator()
      var fast = relay.stream(after: nil, channels: [.execution]).makeAsyncIterator()
      for name in ["hello", "gap"] {
        #expect(self.name(await slow.next()) == name)
        #expect(self.name(await fast.next()) == name)
      }
      let count = EventRelay.capacity + 10
      for sequence in 1...count {
        let event = ClusterEvent(
          type: "completed", id: "exec_\(sequence)", session: World.other, timestamp: World.start, sequence: Int64(sequence))
        bus.publish([event], on: .execution)
        #expect(name(await fast.next()) == "execution")
      }
      #expect(name(await slow.next()) == "gap")
      guard case .event("execution", _, let data) = await slow.next() else {
        Issue.record("expected an event")
        return
      }
      #expect(String(decoding: data, as: UTF8.self).contains("\"exec_11\""), "the oldest one that is kept")
    }
  }

  @Test func onlyTheWantedChannelsAreSent() async throws {
    try await running([relay]) {
      _ = await open()
      var stream = relay.stream(after: nil, channels: [.agent]).makeAsyncIterator()
      #expect(name(await stream.next()) == "hello")
      publish("completed", 1)
      publish("registered", 1, on: .agent)
      #expect(name(await stream.next()) == "agent")
    }
  }

  /// Moves the clock once the stream and the subscription wait.
  private func passKeepAlive() async throws {
    try await clock.sleepers(atLeast: 2)
    clock.advance(by: EventRelay.keepAlive)
  }

  @Test func aSilentStreamShowsThatItLives() async throws {
    try await running([relay]) {
      var stream = await open()
      async let isOver: Void = passKeepAlive()
      #expect(await stream.next() == .comment)
      try await isOver
    }
  }

  @Test func aStreamEndsSoThatItsClientIsCheckedAgain() async throws {
    try await running([relay]) {
      var stream = await open()
      clock.advance(by: EventRelay.streamLimit - .seconds(1))
      publish("completed", 1)
      let last = await stream.next()
      #expect(name(last) == "execution")
      clock.advance(by: .seconds(1))
      publish("completed", 2)
      #expect(await stream.next() == nil)
      var again = relay.stream(after: id(last), channels: [.execution]).makeAsyncIterator()
      #expect(name(await again.next()) == "hello")
      #expect(name(await again.next()) == "execution", "nothing is missed")
    }
  }

  @Test func theSubscriptionOutlastsItsLastReaderByAMinute() async throws {
    try await running([relay]) {
      do {
        _ = await open()
        #expect(bus.hasSubscribers(on: .execution))
      }
      clock.advance(by: .seconds(50))
      // A reader in between begins the minute anew.
      do { _ = relay.stream(after: nil, channels: [.agent]) }
      try await clock.sleepers()
      clock.advance(by: .seconds(50))
      try await clock.sleepers()
      #expect(bus.hasSubscribers(on: .execution))
      try await eventually("the end of the subscription") {
        clock.advance(by: .seconds(30))
        return !bus.hasSubscribers(on: .execution)
      }
      publish("completed", 1)
      var again = await open()
      // A reader that comes while the relay is still leaving gets a gap of both subscriptions.
      try await eventually("a new subscription") { bus.hasSubscribers(on: .execution) }
      publish("failed", 2)
      var next = await again.next()
      if name(next) == "gap" { next = await again.next() }
      guard case .event("execution", _, let data) = next else {
        Issue.record("expected an event, not \(String(describing: next))")
        return
      }
      #expect(String(decoding: data, as: UTF8.self).contains(#""type":"failed""#), "what no subscription saw is not sent")
    }
  }

  @Test func aReaderThatHasGoneLeavesNoSubscription() async throws {
    try await running([relay]) {
      do {
        _ = await open()
        // The second wish for a subscription is left when the first one stands.
        _ = relay.stream(after: nil, channels: [.agent])
      }
      try await clock.sleepers()
      clock.advance(by: EventRelay.linger)
      try await eventually("the end of the subscription") { !bus.hasSubscribers(on: .execution) }
      clock.advance(by: .seconds(1))
      #expect(!bus.hasSubscribers(on: .execution))
    }
  }

  @Test func aReaderOfAnEarlierSubscriptionGetsAGap() async throws {
    try await running([relay]) {
      var last: String?
      do {
        var stream = await open()
        publish("completed", 1)
        last = id(await stream.next())
      }
      try await eventually("the end of the subscription") {
        clock.advance(by: .seconds(30))
        return !bus.hasSubscribers(on: .execution)
      }
      var again = relay.stream(after: last, channels: [.execution]).makeAsyncIterator()
      #expect(name(await again.next()) == "hello")
      #expect(name(await again.next()) == "gap")
    }
  }
}
