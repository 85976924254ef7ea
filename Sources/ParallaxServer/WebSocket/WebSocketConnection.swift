import NIOCore
import Synchronization

/// The thread-safe handle of one WebSocket: an outbox that any thread fills and the event loop empties.
final class WebSocketConnection: AgentConnection {
  struct CloseRequest: Hashable {
    var code: WebSocketCloseCode
    var reason: String
  }

  private struct Outbox {
    var messages: [ByteBuffer] = []
    /// Bytes of messages that have not reached the channel, those taken by the loop included.
    var waitingBytes = 0
    var closeRequest: CloseRequest?
    /// The event loop will look into the outbox without being asked again.
    var isLoopComing = false
    var hasEnded = false

    /// True when the loop must be woken to look into the outbox; it then counts as woken.
    mutating func claimLoop() -> Bool {
      defer { isLoopComing = true }
      return !isLoopComing
    }
  }

  let id: String
  let remoteAddress: String?
  let eventLoop: any EventLoop
  private let handler: NIOLoopBound<WebSocketHandler>
  private let outbox = Mutex(Outbox())
  private let maxWaitingBytes: Int

  init(id: String, remoteAddress: String?, eventLoop: any EventLoop, handler: WebSocketHandler, maxWaitingBytes: Int) {
    self.id = id
    self.remoteAddress = remoteAddress
    self.eventLoop = eventLoop
    self.handler = NIOLoopBound(handler, eventLoop: eventLoop)
    self.maxWaitingBytes = maxWaitingBytes
  }

  func send(_ text: ByteBuffer) {
    let mustWake = outbox.withLock { outbox in
      guard !outbox.hasEnded, outbox.closeRequest == nil else { return false }
      outbox.waitingBytes += text.readableBytes
      if outbox.waitingBytes > maxWaitingBytes {
        // The event loop finds the sum above the bound and drops the connection: what waits will never be sent.
        outbox.messages = []
      } else {
        outbox.messages.append(text)
      }
      return outbox.claimLoop()
    }
    if mustWake { wakeLoop() }
  }

  func ping() {
    eventLoop.execute { [handler] in handler.value.ping() }
  }

  func close(code: WebSocketCloseCode, reason: String) {
    let mustWake = outbox.withLock { outbox in
      guard !outbox.hasEnded, outbox.closeRequest == nil else { return false }
      outbox.closeRequest = CloseRequest(code: code, reason: reason)
      return outbox.claimLoop()
    }
    if mustWake { wakeLoop() }
  }

  private func wakeLoop() {
    eventLoop.execute { [handler] in handler.value.flushOutbox() }
  }
}

// MARK: - The event loop's side

extension WebSocketConnection {
  struct Batch {
    var messages: [ByteBuffer]
    var closeRequest: CloseRequest?
    /// Nil while what waits is within the bound.
    var overflow: Int?
  }

  /// No new message is to be delivered: the server side has asked to close.
  var isClosing: Bool {
    outbox.withLock { $0.closeRequest != nil }
  }

  /// Says that the event loop will take the batch at the end of what it is doing, so that nobody needs to wake it.
  func announceLoop() {
    outbox.withLock { $0.isLoopComing = true }
  }

  func takeBatch() -> Batch {
    outbox.withLock { outbox in
      outbox.isLoopComing = false
      let overflow = outbox.waitingBytes > maxWaitingBytes ? outbox.waitingBytes : nil
      return Batch(messages: outbox.messages.takeAll(), closeRequest: outbox.closeRequest, overflow: overflow)
    }
  }

  /// The channel has taken this many bytes of messages.
  func didWrite(bytes: Int) {
    outbox.withLock { $0.waitingBytes -= bytes }
  }

  /// The connection has gone: drops what waits and takes nothing more.
  func end() {
    outbox.withLock { outbox in
      outbox.hasEnded = true
      outbox.messages = []
    }
  }
}

extension Array {
  fileprivate mutating func takeAll() -> [Element] {
    defer { self = [] }
    return self
  }
}
