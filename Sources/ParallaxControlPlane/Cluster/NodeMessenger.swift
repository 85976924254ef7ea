import DequeModule
import Logging
import ParallaxHA
import ParallaxState
import ServiceLifecycle
import Synchronization

/// Carries messages to other node sessions: in order for each, in batches, repeated until they are in the inbox.
///
/// What cannot be delivered because the inbox has no room waits; what is for a session that is gone is dropped, as whoever recovers that
/// session finds it out anew.
final class NodeMessenger: Service {
  private struct Outbox {
    var messages: Deque<NodeMessage> = []
    var isBeingSent = false
  }

  private struct State {
    var outboxes: [NodeSession: Outbox] = [:]
    /// Sessions that were lost, newest last: who still talks to one of them has not heard of it.
    var gone: Deque<NodeSession> = []
    var isStopping = false
  }

  private static let batchSize = 128
  private static let firstPause: Duration = .milliseconds(20)
  private static let longestPause: Duration = .seconds(1)
  /// How many lost sessions are remembered.
  private static let memory = 1_000
  /// How long a node that stops tries to deliver what it has to say.
  private static let stopLimit: Duration = .seconds(2)

  private let inboxes: any InboxStore
  private let logger: Logger
  private let state = Mutex(State())
  private let wakeUps: AsyncStream<NodeSession>
  private let wakeUp: AsyncStream<NodeSession>.Continuation

  init(inboxes: any InboxStore, logger: Logger) {
    self.inboxes = inboxes
    self.logger = logger
    (wakeUps, wakeUp) = AsyncStream.makeStream()
  }

  /// Puts a message on its way.
  func tell(_ message: NodeMessage, to session: NodeSession) {
    let begins = state.withLock { state in
      guard !state.gone.contains(session) else { return false }
      state.outboxes[session, default: Outbox()].messages.append(message)
      defer { state.outboxes[session]?.isBeingSent = true }
      return state.outboxes[session]?.isBeingSent == false
    }
    if begins { wakeUp.yield(session) }
  }

  /// Drops what is for a session that is gone, and what will still be said to it.
  func forget(_ session: NodeSession) {
    state.withLock { state in
      state.outboxes[session]?.messages.removeAll()
      guard !state.gone.contains(session) else { return }
      if state.gone.count == Self.memory { state.gone.removeFirst() }
      state.gone.append(session)
    }
  }

  /// Believes again in a session that was taken for lost.
  func remember(_ session: NodeSession) {
    state.withLock { $0.gone.removeAll { $0 == session } }
  }

  /// Delivers until a graceful shutdown begins and, within a bound, all is delivered.
  func run() async throws {
    await withGracefulShutdownHandler {
      await withDiscardingTaskGroup { group in
        for await session in wakeUps { group.addTask { await self.deliver(to: session) } }
      }
    } onGracefulShutdown: {
      self.state.withLock { $0.isStopping = true }
      self.wakeUp.finish()
    }
  }

  private func deliver(to session: NodeSession) async {
    var pause = Self.firstPause
    var stopsAt: ContinuousClock.Instant?
    while let batch = nextBatch(for: session) {
      let isDelivered: Bool
      do {
        isDelivered = try await inboxes.send(batch, to: session)
        if !isDelivered { logger.warning("the inbox of a node is full", metadata: ["session": "\(session)"]) }
      } catch {
        isDelivered = false
        logger.debug("messages could not be sent", metadata: ["session": "\(session)", "error": "\(error)"])
      }
      if isDelivered {
        pause = Self.firstPause
        continue
      }
      putBack(batch, for: session)
      if state.withLock({ $0.isStopping }) {
        let limit = stopsAt ?? ContinuousClock.now + Self.stopLimit
        stopsAt = limit
        if .now >= limit { return }
      }
      do { try await Task.sleep(for: pause) } catch { return }
      pause = min(pause * 2, Self.longestPause)
    }
  }

  private func nextBatch(for session: NodeSession) -> [NodeMessage]? {
    state.withLock { state in
      guard var outbox = state.outboxes.removeValue(forKey: session), !outbox.messages.isEmpty else { return nil }
      let batch = Array(outbox.messages.prefix(Self.batchSize))
      outbox.messages.removeFirst(batch.count)
      state.outboxes[session] = outbox
      return batch
    }
  }

  private func putBack(_ batch: [NodeMessage], for session: NodeSession) {
    state.withLock { state in
      guard !state.gone.contains(session) else { return }
      state.outboxes[session]?.messages.prepend(contentsOf: batch)
    }
  }
}
