import Logging
import ParallaxHA
import ParallaxState
import ServiceLifecycle

/// Does what other node sessions ask of this one.
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
        try await inboxes.receive(at: session, limit: Self.batchSize) { messages in
          for received in messages { handle(received) }
        }
      } catch is CancellationError {
        // The node stops.
      }
    }
  }

  private func handle(_ received: ReceivedNodeMessage) {
    guard let message = received.message else {
      return logger.warning("a message of another node cannot be read by this version", metadata: ["position": "\(received.position)"])
    }
    if case .ended(let execution) = message { watch.ended(execution) }
    dispatcher.received(message)
  }
}
