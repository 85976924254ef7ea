import NIOCore
import Synchronization

/// One connection, for callers on any thread.
///
/// A caller on the event loop uses the handler directly; other callers encode into the inbox and wake the loop once per batch.
final class RedisConnection: Sendable {
  private let eventLoop: any EventLoop
  private let inbox: ConnectionInbox
  private let handler: NIOLoopBound<RedisChannelHandler>
  private let closedFuture: EventLoopFuture<RedisError>
  private let lastID = Atomic<UInt64>(0)
  /// The server.
  let endpoint: RedisConfiguration.Endpoint
  let opened: NIODeadline

  init(
    to endpoint: RedisConfiguration.Endpoint, handler: NIOLoopBound<RedisChannelHandler>, inbox: ConnectionInbox,
    closed: EventLoopFuture<RedisError>
  ) {
    self.endpoint = endpoint
    opened = handler.eventLoop.now
    eventLoop = handler.eventLoop
    self.handler = handler
    self.inbox = inbox
    closedFuture = closed
  }

  /// The time of the last arrival of bytes.
  var lastArrival: NIODeadline { inbox.lastArrival }

  /// Whether replies are due.
  var isBusy: Bool { inbox.isBusy }

  /// Whether the connection refuses commands.
  var isClosed: Bool { inbox.isClosed }

  // MARK: Commands

  /// Sends a command.
  ///
  /// Cancellation drops the reply of this command only.
  nonisolated(nonsending) func execute(_ command: RedisCommand, timeout: TimeAmount) async -> CommandOutcome {
    let id = nextID()
    return await withTaskCancellationHandler {
      await withUnsafeContinuation { continuation in
        self.submit(CollectionOfOne(command), id: id, waiter: .command(continuation, name: command.name), timeout: timeout)
      }
    } onCancel: {
      self.cancel(id)
    }
  }

  /// Sends commands in one write.
  nonisolated(nonsending) func execute(_ commands: [RedisCommand], timeout: TimeAmount) async -> PipelineOutcome {
    let id = nextID()
    return await withTaskCancellationHandler {
      await withUnsafeContinuation { continuation in
        self.submit(commands, id: id, waiter: .pipeline(continuation, commands: commands), timeout: timeout)
      }
    } onCancel: {
      self.cancel(id)
    }
  }

  /// Sends a command of a subscription, which is answered by pushes only.
  func push(_ command: RedisCommand) {
    if eventLoop.inEventLoop {
      handler.value.push(command)
    } else {
      eventLoop.execute { [handler] in handler.value.push(command) }
    }
  }

  private func nextID() -> UInt64 {
    lastID.wrappingAdd(1, ordering: .relaxed).newValue
  }

  private func submit(_ commands: some Collection<RedisCommand>, id: UInt64, waiter: ReplyWaiter, timeout: TimeAmount) {
    if eventLoop.inEventLoop {
      handler.value.submit(commands, id: id, waiter: waiter, timeout: timeout)
    } else {
      switch inbox.submit(commands, id: id, waiter: waiter, timeout: timeout) {
      case .accepted(let wakeLoop): if wakeLoop { wake() }
      case .refused(let failure): waiter.fail(failure)
      }
    }
    // A cancellation before the command was queued had nothing to cancel.
    if Task.isCancelled { cancel(id) }
  }

  private func cancel(_ id: UInt64) {
    if inbox.cancel(id) { wake() }
  }

  private func wake() {
    eventLoop.execute { [handler] in handler.value.drainInbox() }
  }

  // MARK: The end

  /// Waits until the connection has ended; returns the reason.
  func closed() async -> RedisError {
    do {
      return try await closedFuture.get()
    } catch {
      return RedisError(.connectionFailed, message: "The connection was closed.", cause: error)
    }
  }

  func whenClosed(_ perform: @escaping @Sendable () -> Void) {
    closedFuture.whenComplete { _ in perform() }
  }

  /// Refuses new commands, and closes when the replies in flight have arrived or the limit is reached.
  func drain(within grace: TimeAmount, reason: RedisError) {
    eventLoop.execute { [handler] in handler.value.drain(within: grace, reason: reason) }
  }

  func close() {
    eventLoop.execute { [handler] in handler.value.close() }
  }

  func fail(_ reason: RedisError) {
    eventLoop.execute { [handler] in handler.value.fail(reason) }
  }
}
