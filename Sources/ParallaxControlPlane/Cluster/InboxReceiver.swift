import Logging
import ParallaxHA
import ParallaxState
import ServiceLifecycle

/// Does what other node sessions ask of this one.
///
/// It has no clock: the inbox store waits for messages and waits outages out.
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
      "messages of other nodes cannot be read by this version: they are left out",
      metadata: ["count": "\(unreadable.count)", "first": "\(first.position)"])
  }
}
