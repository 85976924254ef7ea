import ParallaxAPI
import ParallaxConcurrency
import ParallaxHA
import ParallaxState

extension InboxConformance {
  static let delivery: [Check] = [
    Check("messages arrive oldest first, no more than the limit at a time") { store in
      let sent = messages(1...10)
      try await send(sent, in: store)
      let batches = try await receive(10, in: store, limit: 4)
      try expect(batches.map(\.count), is: [4, 4, 2], "the sizes of the batches")
      try expect(batches.flatMap { $0 }.map(\.message), is: sent, "the messages")
    },
    Check("a later message reaches a waiting receiver") { store in
      let (batches, continuation) = AsyncStream.makeStream(of: [ReceivedNodeMessage].self)
      try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask {
          defer { continuation.finish() }
          try await store.receive(at: Sample.bob, limit: 10) { continuation.yield($0) }
        }
        var iterator = batches.makeAsyncIterator()
        for message in messages(1...3) {
          try await send([message], in: store)
          try expect(await iterator.next()?.map(\.message), is: [message], "the delivered batch")
        }
        group.cancelAll()
      }
    },
    Check("every message arrives as it was sent") { store in
      var sent: [NodeMessage] = [
        .withdraw(.init(taskId: "task_1", executionId: "exec_1", reason: "no longer \"wanted\""), agent: "agent_ä"),
        .recorded(execution: "exec_1", task: "task_1"), .cancel(execution: "exec_1"), .declined(execution: "exec_1"),
      ]
      for value in Sample.values {
        sent.append(
          .deliver(
            .init(
              taskId: "task_1", executionId: "exec_1", patternName: "p", patternVersion: "1.0.0", capability: "c", input: value,
              timeout: .milliseconds(1_500), priority: .high, context: .init(stepIndex: 0, totalSteps: 3)),
            agent: "agent_1", owner: NodeSession(nodeID: "host:8080", incarnation: "a")))
      }
      try await send(sent, in: store)
      try expect(await receive(sent.count, in: store).flatMap { $0 }.map(\.message), is: sent, "the messages")
    },
    Check("a handled message is not delivered again") { store in
      let sent = messages(1...3)
      try await send(Array(sent.prefix(2)), in: store)
      // The second delivery proves that the first message was removed.
      try expect(await receive(2, in: store, limit: 1).count, is: 2, "the number of deliveries")
      try await send([sent[2]], in: store)
      let later = try await receive(until: sent[2], in: store)
      try expect(!later.contains(sent[0]), "the handled message not to come again")
    },
    Check("an unhandled message is delivered again, before new ones, and the error is passed on") { store in
      struct Trouble: Error {}
      let sent = messages(1...4)
      try await send(Array(sent.prefix(3)), in: store)
      do {
        try await store.receive(at: Sample.bob, limit: 2) { _ in throw Trouble() }
        throw ConformanceFailure(description: "expected the error of the handler, found a return")
      } catch is Trouble {}
      try await send([sent[3]], in: store)
      try expect(await receive(4, in: store).flatMap { $0 }.map(\.message), is: sent, "the messages")
    },
    Check("each session has an inbox of its own") { store in
      let sessions = [Sample.alice, Sample.aliceAgain, Sample.bob]
      let sent = messages(1...3)
      for (session, message) in zip(sessions, sent) { try await send([message], to: session, in: store) }
      for (session, message) in zip(sessions, sent) {
        try expect(await receive(1, at: session, in: store).flatMap { $0 }.map(\.message), is: [message], "the messages to \(session)")
      }
    },
    Check("the messages of each of many senders stay in order") { store in
      _ = try await StateStoreConformance.concurrently(8) { sender in
        for number in 1...10 { try await send([.recorded(execution: "\(sender)", task: "\(number)")], in: store) }
      }
      let received = try await receive(80, in: store, limit: 7).flatMap { $0 }.map(\.message)
      for sender in 0..<8 {
        let expected = (1...10).map { NodeMessage.recorded(execution: "\(sender)", task: "\($0)") }
        try expect(received.filter { $0.map(expected.contains) == true }, is: expected, "the messages of sender \(sender)")
      }
    },
    Check("a waiting receiver ends when it is cancelled") { store in
      try await send(messages(1...1), in: store)
      try await withThrowingTaskGroup(of: Void.self) { group in
        let received = WakeUp()
        group.addTask {
          try await store.receive(at: Sample.bob, limit: 1) { _ in received.signal() }
        }
        try await received.wait()
        group.cancelAll()
        do {
          try await group.next()
          throw ConformanceFailure(description: "expected a CancellationError, found a return")
        } catch is CancellationError {}
      }
    },
  ]

  static let bounds: [Check] = [
    Check("a full inbox refuses all messages of a call and keeps its own") { store in
      let sent = messages(1...capacity)
      try await send(Array(sent.dropLast()), in: store)
      let two = messages(1_001...1_002)
      try expect(await store.send(two, to: Sample.bob), is: false, "a sending of two where one has room")
      try await send([sent[capacity - 1]], in: store)
      try expect(await store.send([two[0]], to: Sample.bob), is: false, "a sending to a full inbox")
      try await send([two[0]], to: Sample.alice, in: store)
      try expect(await receive(capacity, in: store).flatMap { $0 }.map(\.message), is: sent, "the messages")
    },
    Check("a handled message makes room") { store in
      try await send(messages(1...capacity), in: store)
      let more = messages(1_001...1_002)
      let (answers, continuation) = AsyncStream.makeStream(of: [Bool].self)
      try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask {
          defer { continuation.finish() }
          try await store.receive(at: Sample.bob, limit: 1) { _ in
            var accepted: [Bool] = []
            for message in more { accepted.append(try await store.send([message], to: Sample.bob)) }
            continuation.yield(accepted)
          }
        }
        var iterator = answers.makeAsyncIterator()
        try expect(await iterator.next(), is: [false, false], "the outcomes at a full inbox")
        try expect(await iterator.next(), is: [true, false], "the outcomes after one message was handled")
        group.cancelAll()
      }
    },
    Check("sending no message succeeds at any time") { store in
      try expect(await store.send([], to: Sample.bob), is: true, "an empty sending")
      try await send(messages(1...capacity), in: store)
      try expect(await store.send([], to: Sample.bob), is: true, "an empty sending to a full inbox")
    },
  ]

  static let removal: [Check] = [
    Check("a removed inbox is empty, and others stay") { store in
      let sent = messages(1...2)
      for session in [Sample.alice, Sample.bob] { try await send([sent[0]], to: session, in: store) }
      for _ in 1...2 { try await store.removeInbox(of: Sample.bob) }
      try await send([sent[1]], in: store)
      try expect(await receive(1, in: store).flatMap { $0 }.map(\.message), is: [sent[1]], "the messages after the removal")
      try expect(await receive(1, at: Sample.alice, in: store).flatMap { $0 }.map(\.message), is: [sent[0]], "the other's messages")
    },
    Check("a removal does not end the receiver") { store in
      let sent = messages(1...2)
      let (batches, continuation) = AsyncStream.makeStream(of: [ReceivedNodeMessage].self)
      try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask {
          defer { continuation.finish() }
          try await store.receive(at: Sample.bob, limit: 10) { continuation.yield($0) }
        }
        var iterator = batches.makeAsyncIterator()
        try await send([sent[0]], in: store)
        try expect(await iterator.next()?.map(\.message), is: [sent[0]], "the batch before the removal")
        try await store.removeInbox(of: Sample.bob)
        try await send([sent[1]], in: store)
        try expect(await iterator.next()?.map(\.message), is: [sent[1]], "the batch after the removal")
        group.cancelAll()
      }
    },
  ]

  private static func messages(_ numbers: ClosedRange<Int>) -> [NodeMessage] {
    numbers.map { .cancel(execution: "exec_\($0)") }
  }

  private static func send(_ messages: [NodeMessage], to session: NodeSession = Sample.bob, in store: any InboxStore) async throws {
    try expect(await store.send(messages, to: session), is: true, "the sending of \(messages.count)")
  }

  /// Receives until this number of messages were delivered.
  private static func receive(
    _ count: Int, at session: NodeSession = Sample.bob, in store: any InboxStore, limit: Int = 1_000
  ) async throws -> [[ReceivedNodeMessage]] {
    try await receive(at: session, in: store, limit: limit) { $0.joined().count >= count }
  }

  /// Receives until a message was delivered.
  private static func receive(until last: NodeMessage, in store: any InboxStore) async throws -> [NodeMessage] {
    let isLast: ([[ReceivedNodeMessage]]) -> Bool = { $0.last?.last?.message == last }
    return try await receive(at: Sample.bob, in: store, limit: 1_000, until: isLast).joined().compactMap(\.message)
  }

  private static func receive(
    at session: NodeSession, in store: any InboxStore, limit: Int, until isDone: ([[ReceivedNodeMessage]]) -> Bool
  ) async throws -> [[ReceivedNodeMessage]] {
    let (batches, continuation) = AsyncStream.makeStream(of: [ReceivedNodeMessage].self)
    return try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask {
        defer { continuation.finish() }
        try await store.receive(at: session, limit: limit) { continuation.yield($0) }
      }
      var received: [[ReceivedNodeMessage]] = []
      for await batch in batches {
        received.append(batch)
        if isDone(received) {
          group.cancelAll()
          return received
        }
      }
      try await group.waitForAll()
      throw ConformanceFailure(description: "expected the receiver to wait for more than \(received)")
    }
  }
}
