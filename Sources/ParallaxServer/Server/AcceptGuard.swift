import Logging
import NIOCore

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// Pauses accepting at the listening socket when the system is out of file descriptors or memory.
///
/// The listening socket stays readable while a connection waits to be accepted, so without a pause the event loop would retry at full
/// speed.
final class AcceptGuard: ChannelInboundHandler {
  typealias InboundIn = NIOAny
  typealias InboundOut = NIOAny

  private static let pause = TimeAmount.milliseconds(250)
  /// A failure is logged again only after this time without one.
  private static let recovery = TimeAmount.minutes(1)

  private let logger: Logger
  private var isPaused = false
  private var lastFailure: NIODeadline?

  private init(logger: Logger) {
    self.logger = logger
  }

  static func install(on listener: any Channel, logger: Logger) async throws {
    try await listener.eventLoop.submit {
      try listener.pipeline.syncOperations.addHandler(AcceptGuard(logger: logger), position: .first)
    }.get()
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    guard let error = error as? IOError, [EMFILE, ENFILE, ENOBUFS, ENOMEM].contains(error.errnoCode) else {
      context.fireErrorCaught(error)
      return
    }
    let now = NIODeadline.now()
    if lastFailure.map({ now - $0 > Self.recovery }) ?? true {
      logger.warning(
        "accepting no connection until others end: raise the limit of open files (ulimit -n, LimitNOFILE) or lower server.maxConnections",
        metadata: ["error": "\(error)"])
    }
    lastFailure = now
    guard !isPaused else { return }
    isPaused = true
    let channel = context.channel
    setReading(false, of: channel)
    let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
    context.eventLoop.scheduleTask(in: Self.pause) {
      bound.value.isPaused = false
      bound.value.setReading(true, of: channel)
    }
  }

  private func setReading(_ isReading: Bool, of channel: any Channel) {
    // Setting the option fails only on a closed listener.
    try? channel.syncOptions?.setOption(.autoRead, value: isReading)
  }
}
