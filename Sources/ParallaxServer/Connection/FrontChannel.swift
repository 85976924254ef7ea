import HummingbirdCore
import Logging
import NIOCore
import NIOHTTP1
import Synchronization

/// Sets up HTTP/1 with a ``FrontHandler`` on the connections that Hummingbird accepts.
///
/// A connection that becomes a WebSocket on its first request needs no task and no async channel.
struct FrontChannel: ServerChildChannel, HTTPChannelHandler {
  struct Value: ServerChildChannelValue {
    let channel: any Channel
    fileprivate let front: NIOLoopBound<FrontHandler>
    fileprivate let negotiated: EventLoopFuture<FrontHandler.Negotiated>
  }

  var responder: HTTPChannelHandler.Responder
  let api: APIResponder
  let shared: FrontContext

  func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<Value> {
    channel.eventLoop.makeCompletedFuture {
      let negotiation = channel.eventLoop.makePromise(of: FrontHandler.Negotiated.self)
      let front = FrontHandler(shared: shared, negotiation: negotiation, isBeyondLimit: count(channel))
      do {
        if let tls = shared.tls { try channel.pipeline.syncOperations.addHandler(tls.makeHandler()) }
        try FrontHandler.install(front, in: channel.pipeline.syncOperations)
      } catch {
        negotiation.succeed(.closed)
        throw error
      }
      return Value(
        channel: channel, front: NIOLoopBound(front, eventLoop: channel.eventLoop), negotiated: negotiation.futureResult)
    }
  }

  /// Counts a connection while it is open; true if it exceeds the limit.
  ///
  /// A connection beyond the reserve is closed at once: the reserve exists for probes only.
  private func count(_ channel: any Channel) -> Bool {
    let number = shared.openConnections.wrappingAdd(1, ordering: .relaxed).newValue
    channel.closeFuture.whenComplete { [shared] _ in shared.openConnections.wrappingSubtract(1, ordering: .relaxed) }
    guard number > shared.limits.connections else { return false }
    shared.reportConnectionLimit()
    if number > shared.limits.connections + Self.reserve { channel.close(promise: nil) }
    return true
  }

  /// The number of connections beyond the limit on which probes are answered.
  private static let reserve = 256

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
      let (channel, caller) = try await value.channel.eventLoop.submit {
        (try value.front.value.attachRouter(), value.front.value.caller)
      }.get()
      let peer = value.channel.remoteAddress?.ipAddress
      var connection = self
      connection.responder = { [api] request, writer, _ in
        try await api.respond(to: request, from: caller.value, peer: peer, with: writer)
      }
      await connection.handleHTTP(asyncChannel: channel, logger: logger)
    } catch {
      logger.debug("a connection ended before its first request", metadata: ["error": "\(error)"])
    }
  }
}
