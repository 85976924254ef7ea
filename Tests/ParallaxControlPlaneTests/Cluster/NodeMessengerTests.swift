import Logging
import ParallaxHA
import ParallaxState
import ParallaxTesting
import ServiceLifecycleTestKit
import Synchronization
import TestSupport
import Testing

@testable import ParallaxControlPlane

@Suite(.timeLimit(.minutes(1))) struct NodeMessengerTests {
  private static let bob = NodeSession(nodeID: "bob", incarnation: "b1")
  private static let carol = NodeSession(nodeID: "carol", incarnation: "c1")

  private let clock = ManualClock()

  @Test func messagesArriveInOrderAndInBatches() async throws {
    let inboxes = Inboxes()
    let messenger = NodeMessenger(inboxes: inboxes, clock: NodeClock(clock), logger: Logger(label: "test"))
    for number in 0..<300 { messenger.send(.cancel(execution: "\(number)"), to: Self.bob) }
    messenger.send(.cancel(execution: "other"), to: Self.carol)
    try await running(messenger) {
      try await inboxes.arrival(of: 300, at: Self.bob)
      try await inboxes.arrival(of: 1, at: Self.carol)
    }
    #expect(inboxes.messages(at: Self.bob) == (0..<300).map { .cancel(execution: "\($0)") })
    #expect(inboxes.batches(at: Self.bob).allSatisfy { $0 <= 128 } && inboxes.batches(at: Self.bob).count == 3)
  }

  @Test func refusedAndFailedBatchesAreRepeatedInOrder() async throws {
    let inboxes = Inboxes(answers: [.full, .failure])
    let messenger = NodeMessenger(inboxes: inboxes, clock: NodeClock(clock), logger: Logger(label: "test"))
    for number in 0..<3 { messenger.send(.cancel(execution: "\(number)"), to: Self.bob) }
    try await running(messenger) { try await inboxes.arrival(of: 3, at: Self.bob) }
    #expect(inboxes.messages(at: Self.bob) == (0..<3).map { .cancel(execution: "\($0)") })
  }

  @Test func aLostSessionGetsNoMessagesUntilItReturns() async throws {
    let inboxes = Inboxes()
    let messenger = NodeMessenger(inboxes: inboxes, clock: NodeClock(clock), logger: Logger(label: "test"))
    messenger.send(.cancel(execution: "before"), to: Self.bob)
    messenger.sessionLost(Self.bob)
    messenger.send(.cancel(execution: "after"), to: Self.bob)
    messenger.sessionReturned(Self.bob)
    messenger.send(.cancel(execution: "back"), to: Self.bob)
    try await running(messenger) { try await inboxes.arrival(of: 1, at: Self.bob) }
    #expect(inboxes.messages(at: Self.bob) == [.cancel(execution: "back")])
  }

  @Test func aNodeThatStopsRepeatsWhatFailed() async throws {
    let inboxes = Inboxes(answers: Array(repeating: .failure, count: 3))
    try await stopping(inboxes) {
      for _ in 1...3 {
        // The limit of the stop, and the pause before the next attempt.
        try await clock.sleepers(atLeast: 2)
        clock.advance(by: .milliseconds(500))
      }
    }
    #expect(inboxes.messages(at: Self.bob) == [.cancel(execution: "1")])
  }

  @Test func aNodeThatStopsSendsForTwoSecondsAtMost() async throws {
    let inboxes = Inboxes(answers: Array(repeating: .failure, count: 1_000))
    try await stopping(inboxes) {
      try await clock.sleepers(atLeast: 2)
      clock.advance(by: .seconds(2))
    }
    #expect(inboxes.messages(at: Self.bob) == [])
  }

  /// Runs a messenger with one message, which stops at once, beside `body`, and waits until both have ended.
  private func stopping(_ inboxes: Inboxes, _ body: () async throws -> Void) async throws {
    let messenger = NodeMessenger(inboxes: inboxes, clock: NodeClock(clock), logger: Logger(label: "test"))
    messenger.send(.cancel(execution: "1"), to: Self.bob)
    try await testGracefulShutdown { trigger in
      try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask { try await messenger.run() }
        trigger.triggerGracefulShutdown()
        try await body()
        try await group.waitForAll()
      }
    }
  }

  private func running(_ messenger: NodeMessenger, _ body: () async throws -> Void) async throws {
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { try await messenger.run() }
      defer { group.cancelAll() }
      try await clock.advance(during: body)
    }
  }
}

/// Inboxes that refuse or fail the first sends, as often as the test asks.
private final class Inboxes: InboxStore {
  enum Answer {
    case full, failure
  }

  private struct State {
    var answers: [Answer]
    var batches: [NodeSession: [[NodeMessage]]] = [:]

    func count(at session: NodeSession) -> Int { batches[session]?.reduce(0) { $0 + $1.count } ?? 0 }
  }

  private let state: Mutex<State>

  init(answers: [Answer] = []) {
    state = Mutex(State(answers: answers))
  }

  func messages(at session: NodeSession) -> [NodeMessage] { state.withLock { $0.batches[session]?.flatMap { $0 } ?? [] } }
  func batches(at session: NodeSession) -> [Int] { state.withLock { $0.batches[session]?.map(\.count) ?? [] } }

  func arrival(of count: Int, at session: NodeSession) async throws {
    try await eventually("\(count) messages at \(session)", within: .seconds(10)) { state.withLock { $0.count(at: session) >= count } }
  }

  func send(_ messages: [NodeMessage], to session: NodeSession) async throws -> Bool {
    let answer = state.withLock { state -> Answer? in
      if !state.answers.isEmpty { return state.answers.removeFirst() }
      state.batches[session, default: []].append(messages)
      return nil
    }
    switch answer {
    case nil: return true
    case .full?: return false
    case .failure?: throw StateStoreError(.unavailable, "no answer")
    }
  }

  func receive(
    at session: NodeSession, limit: Int, _ handle: @Sendable ([ReceivedNodeMessage]) async throws -> Void
  ) async throws {}

  func removeInbox(of session: NodeSession) async throws {}
}
