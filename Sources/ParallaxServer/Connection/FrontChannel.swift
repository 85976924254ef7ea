import HummingbirdCore
import Logging
import NIOCore
import NIOHTTP1

/// Hummingbird's hook for the connections it accepts: HTTP/1 with ``FrontHandler`` in front.
///
/// A connection that becomes a WebSocket on its first request leaves no task and no async channel behind.
struct FrontChannel: ServerChildChannel, HTTPChannelHandler {
  struct Value: ServerChildChannelValue {
    let channel: any Channel
    fileprivate let front: NIOLoopBound<FrontHandler>
    fileprivate let negotiated: EventLoopFuture<FrontHandler.Negotiated>
  }

  let responder: HTTPChannelHandler.Responder
  let shared: FrontContext

  func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<Value> {
    channel.eventLoop.makeCompletedFuture {
      let negotiation = channel.eventLoop.makePromise(of: FrontHandler.Negotiated.self)
      let front = FrontHandler(shared: shared, negotiation: negotiation)
      do {
        let pipeline = channel.pipeline.syncOperations
        try pipeline.addHandler(HTTPResponseEncoder())
        try pipeline.addHandler(shared.limits.makeDecoder())
        try pipeline.addHandler(front)
      } catch {
        negotiation.succeed(.closed)
        throw error
      }
      return Value(
        channel: channel, front: NIOLoopBound(front, eventLoop: channel.eventLoop), negotiated: negotiation.futureResult)
    }
  }

  func handle(value: Value, logger: Logger) async {
    await withTaskCancellationHandler {
      await run(value, logger: logger)
    } onCancel: {
      value.channel.close(promise: nil)
    }
  }

  private func run(_ value: Value, logger: Logger) async {
    do {
      guard case .http = try await value.negotiated.get() else { return }
      let channel = try await value.channel.eventLoop.submit { try value.front.value.attachRouter() }.get()
      await handleHTTP(asyncChannel: channel, logger: logger)
    } catch {
      logger.debug("a connection ended before its first request", metadata: ["error": "\(error)"])
    }
  }
}
