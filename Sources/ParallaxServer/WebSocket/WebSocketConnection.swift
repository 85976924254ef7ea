import NIOCore
import Synchronization

/// The thread-safe handle of one WebSocket: any thread adds to its outbox, the event loop empties it.
final class WebSocketConnection: AgentConnection {
  struct CloseRequest: Hashable {
    var code: WebSocketCloseCode
    var reason: String
  }

  private struct Outbox {
    var messages: [OutgoingMessage] = []
    /// The bytes of messages that have not reached the channel, those that the event loop has taken included.
    var waitingBytes = 0
    /// The bytes of the largest waiting message, if it exceeds the limit by itself.
    var oversizedBytes = 0
    /// Whether a message found the limit of waiting bytes reached.
    var hasOverflowed = false
    var closeRequest: CloseRequest?
    /// The event loop will empty the outbox without another wake-up.
    var isLoopScheduled = false
    var hasEnded = false

    /// Claims the wake-up of the event loop: true if the caller must wake it.
    mutating func claimLoop() -> Bool {
      defer { isLoopScheduled = true }
      return !isLoopScheduled
    }
  }

  let id: String
  let remoteAddress: String?
  /// What the agent connected with, for those who decide whether it may stay.
  let grant: any Sendable
  let eventLoop: any EventLoop
  private let handler: NIOLoopBound<WebSocketHandler>
  private let outbox = Mutex(Outbox())
  private let maxWaitingBytes: Int

  init(
    id: String, remoteAddress: String?, grant: any Sendable, eventLoop: any EventLoop, handler: WebSocketHandler, maxWaitingBytes: Int
  ) {
    self.id = id
    self.remoteAddress = remoteAddress
    self.grant = grant
    self.eventLoop = eventLoop
    self.handler = NIOLoopBound(handler, eventLoop: eventLoop)
    self.maxWaitingBytes = maxWaitingBytes
  }

  @discardableResult
  func send(_ text: ByteBuffer) -> Bool {
    send(OutgoingMessage(bytes: text))
  }

  /// Sends one binary message, like a text.
  @discardableResult
  func sendBinary(_ bytes: ByteBuffer) -> Bool {
    send(OutgoingMessage(bytes: bytes, isBinary: true))
  }

  private func send(_ message: OutgoingMessage) -> Bool {
    let size = message.bytes.readableBytes
    let (isTaken, mustWake) = outbox.withLock { outbox in
      guard !outbox.hasEnded, outbox.closeRequest == nil else { return (false, false) }
      // One message is accepted whatever its size, and what follows it, because the agent may well read it.
      if outbox.waitingBytes >= maxWaitingBytes + outbox.oversizedBytes { outbox.hasOverflowed = true }
      if size > maxWaitingBytes { outbox.oversizedBytes = max(outbox.oversizedBytes, size) }
      outbox.waitingBytes += size
      if outbox.hasOverflowed {
        // The event loop disconnects, so these messages are never sent.
        outbox.messages = []
      } else {
        outbox.messages.append(message)
      }
      return (true, outbox.claimLoop())
    }
    if mustWake { wakeLoop() }
    return isTaken
  }

  var unsentBytes: Int { outbox.withLock { $0.waitingBytes } }

  func ping() {
    eventLoop.execute { [handler] in handler.value.ping() }
  }

  func ping(_ number: UInt64) {
    eventLoop.execute { [handler] in handler.value.ping(number) }
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
    var messages: [OutgoingMessage]
    var closeRequest: CloseRequest?
    /// Nil while the unsent bytes are within the limit.
    var overflow: Int?
  }

  /// The server has asked to close, so no further message is delivered.
  var isClosing: Bool {
    outbox.withLock { $0.closeRequest != nil }
  }

  /// Announces that the event loop will take the batch at the end of its current work, which saves a wake-up.
  func announceLoop() {
    outbox.withLock { $0.isLoopScheduled = true }
  }

  func takeBatch() -> Batch {
    outbox.withLock { outbox in
      outbox.isLoopScheduled = false
      let overflow = outbox.hasOverflowed ? outbox.waitingBytes : nil
      return Batch(messages: outbox.messages.takeAll(), closeRequest: outbox.closeRequest, overflow: overflow)
    }
  }

  /// The channel has accepted this many bytes of messages.
  func didWrite(bytes: Int) {
    outbox.withLock { outbox in
      outbox.waitingBytes -= bytes
      if outbox.waitingBytes == 0 { outbox.oversizedBytes = 0 }
    }
  }

  /// The connection has ended: drops its messages and accepts no more.
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
