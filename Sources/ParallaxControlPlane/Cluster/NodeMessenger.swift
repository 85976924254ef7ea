import Logging
import ParallaxConcurrency
import ParallaxHA
import ParallaxState
import ServiceLifecycle
import Synchronization

/// Delivers messages to other node sessions: in order for each session, in batches, with retries until the inbox has them.
///
/// ``Outboxes`` decides. Messages for a full inbox wait, within the bounds of an outbox. Messages for a lost session are dropped: the
/// session's recovery reads from the store what they reported.
final class NodeMessenger: Service {
  private let inboxes: any InboxStore
  private let clock: NodeClock
  private let logger: Logger
  private let outboxes: Mutex<Outboxes>
  /// Sessions with a message and without a task that delivers to them.
  private let pendingSessions: AsyncStream<NodeSession>
  private let pendingSession: AsyncStream<NodeSession>.Continuation

  /// Makes a messenger without messages.
  ///
  /// - Parameters:
  ///   - inboxes: The inboxes of all sessions.
  ///   - limits: The bounds of an outbox.
  ///   - clock: The node's clock.
  ///   - logger: Logs each outage once.
  init(inboxes: any InboxStore, limits: Outboxes.Limits = Outboxes.Limits(), clock: NodeClock, logger: Logger) {
    self.inboxes = inboxes
    self.clock = clock
    self.logger = logger
    outboxes = Mutex(Outboxes(limits: limits))
    (pendingSessions, pendingSession) = AsyncStream.makeStream()
  }

  /// Queues a message; drops it if the session is lost or its outbox is full.
  func send(_ message: NodeMessage, to session: NodeSession) {
    switch outboxes.withLock({ $0.add(message, for: session) }) {
    case .begins: pendingSession.yield(session)
    case .full(isFirst: true):
      logger.warning(
        "dropping messages: the outbox for a node is full; senders repeat those that still matter", metadata: ["session": "\(session)"])
    case .queued, .repeated, .lost, .full: break
    }
  }

  /// Drops the messages for a lost session, present and future.
  func sessionLost(_ session: NodeSession) {
    outboxes.withLock { $0.sessionLost(session) }
  }

  /// Accepts messages again for a session that was wrongly presumed lost.
  func sessionReturned(_ session: NodeSession) {
    outboxes.withLock { $0.sessionReturned(session) }
  }

  /// Delivers until a graceful shutdown begins, then what is queued, within a time limit.
  func run() async throws {
    _ = await race { [self] in
      await withGracefulShutdownHandler {
        await withDiscardingTaskGroup { group in
          for await session in pendingSessions { group.addTask { await self.deliver(to: session) } }
        }
      } onGracefulShutdown: {
        self.pendingSession.finish()
      }
    } until: { [clock] in
      try await gracefulShutdown()
      try await clock.sleep(for: ShutdownPlan.deliveryLimit)
    }
  }

  private func deliver(to session: NodeSession) async {
    while let batch = outboxes.withLock({ $0.nextBatch(for: session) }) {
      let outcome = await attempt(batch, to: session)
      let (pause, notice) = outboxes.withLock { $0.ended(outcome, for: session) }
      if let notice { report(notice, about: session) }
      if let pause { do { try await clock.sleep(for: pause) } catch { return } }
    }
  }

  private func attempt(_ batch: [NodeMessage], to session: NodeSession) async -> Outboxes.Outcome {
    do {
      return try await inboxes.send(batch, to: session) ? .delivered : .refused
    } catch {
      logger.debug("could not send messages", metadata: ["session": "\(session)", "error": "\(error)"])
      return (error as? StateStoreError)?.code == .unwritable ? .unwritable : .failed
    }
  }

  private func report(_ notice: Outboxes.Notice, about session: NodeSession) {
    switch notice {
    case .inboxFull: logger.warning("the inbox of a node is full; retrying", metadata: ["session": "\(session)"])
    case .unreachable: logger.info("could not send messages to a node; retrying", metadata: ["session": "\(session)"])
    case .recovered(let dropped):
      logger.info("sending messages to a node again", metadata: ["session": "\(session)", "dropped": "\(dropped)"])
    }
  }
}
