import Logging
import ParallaxHA
import ParallaxState
import ServiceLifecycle

/// Handles the messages in this node session's inbox.
///
/// The receiver has no clock: the inbox store waits for messages and retries after outages.
struct InboxReceiver: Service {
  let inboxes: any InboxStore
  let session: NodeSession
  let dispatcher: Dispatcher
  let watch: ExecutionWatch
  let logger: Logger

  private static let batchSize = 256

  func run() async throws {
    try await cancelWhenGracefulShutdown {
      do {
        try await inboxes.receive(at: session, limit: Self.batchSize) { handle($0) }
      } catch is CancellationError {
        // The node stops.
      }
    }
  }

  private func handle(_ batch: [ReceivedNodeMessage]) {
    for message in batch.compactMap(\.message) {
      if case .ended(let execution) = message { watch.ended(execution) }
      dispatcher.received(message)
    }
    let unreadable = batch.filter { $0.message == nil }
    guard let first = unreadable.first else { return }
    logger.warning(
      "skipped messages from other nodes that this version cannot read",
      metadata: ["count": "\(unreadable.count)", "first": "\(first.position)"])
  }
}
