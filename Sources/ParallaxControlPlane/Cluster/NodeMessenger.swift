import Logging
import ParallaxConcurrency
import ParallaxHA
import ParallaxState
import ServiceLifecycle
import Synchronization

/// Carries messages to other node sessions: in order for each, in batches, repeated until they are in the inbox.
///
/// ``Outboxes`` decides. What cannot be delivered because the inbox has no room waits, within the bounds of an outbox. What is for a
/// session that is gone is dropped: whoever recovers that session finds it out anew.
final class NodeMessenger: Service {
  /// How long a node that stops goes on sending.
  private static let stopLimit: Duration = .seconds(2)

  private let inboxes: any InboxStore
  private let clock: NodeClock
  private let logger: Logger
  private let outboxes: Mutex<Outboxes>
  /// Sessions that nobody sends to yet and that there is a message for.
  private let openings: AsyncStream<NodeSession>
  private let opening: AsyncStream<NodeSession>.Continuation

  /// Makes a messenger without messages.
  ///
  /// - Parameters:
  ///   - inboxes: Where messages go.
  ///   - limits: The bounds of an outbox.
  ///   - clock: The node's clock.
  ///   - logger: Where outages are reported, each once.
  init(inboxes: any InboxStore, limits: Outboxes.Limits = Outboxes.Limits(), clock: NodeClock, logger: Logger) {
    self.inboxes = inboxes
    self.clock = clock
    self.logger = logger
    outboxes = Mutex(Outboxes(limits: limits))
    (openings, opening) = AsyncStream.makeStream()
  }

  /// Puts a message on its way.
  func tell(_ message: NodeMessage, to session: NodeSession) {
    switch outboxes.withLock({ $0.add(message, for: session) }) {
    case .begins: opening.yield(session)
    case .full(isFirst: true):
      logger.warning(
        "the outbox for a node is full: messages are dropped, their senders repeat what still counts", metadata: ["session": "\(session)"])
    case .queued, .repeated, .lost, .full: break
    }
  }

  /// Drops what is for a session that is gone, and what will still be said to it.
  func forget(_ session: NodeSession) {
    outboxes.withLock { $0.lose(session) }
  }

  /// Believes again in a session that was taken for lost.
  func remember(_ session: NodeSession) {
    outboxes.withLock { $0.regain(session) }
  }

  /// Delivers until a graceful shutdown begins and, within a bound, all is delivered.
  func run() async throws {
    _ = await race { [self] in
      await withGracefulShutdownHandler {
        await withDiscardingTaskGroup { group in
          for await session in openings { group.addTask { await self.deliver(to: session) } }
        }
      } onGracefulShutdown: {
        self.opening.finish()
      }
    } until: { [clock] in
      try await gracefulShutdown()
      try await clock.sleep(for: Self.stopLimit)
    }
  }

  private func deliver(to session: NodeSession) async {
    while let batch = outboxes.withLock({ $0.nextBatch(for: session) }) {
      let outcome = await send(batch, to: session)
      let (pause, notice) = outboxes.withLock { $0.ended(outcome, for: session) }
      if let notice { report(notice, about: session) }
      if let pause { do { try await clock.sleep(for: pause) } catch { return } }
    }
  }

  private func send(_ batch: [NodeMessage], to session: NodeSession) async -> Outboxes.Outcome {
    do {
      return try await inboxes.send(batch, to: session) ? .delivered : .refused
    } catch {
      logger.debug("messages could not be sent", metadata: ["session": "\(session)", "error": "\(error)"])
      return .failed
    }
  }

  private func report(_ notice: Outboxes.Notice, about session: NodeSession) {
    switch notice {
    case .inboxFull: logger.warning("the inbox of a node is full; trying again", metadata: ["session": "\(session)"])
    case .unreachable: logger.info("messages to a node cannot be sent; trying again", metadata: ["session": "\(session)"])
    case .recovered(let dropped):
      logger.info("messages to a node are sent again", metadata: ["session": "\(session)", "dropped": "\(dropped)"])
    }
  }
}
