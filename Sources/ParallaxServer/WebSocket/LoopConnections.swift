import NIOCore

/// The open agent connections of one event loop, with one timer and one compressor for all.
final class LoopConnections {
  private let eventLoop: any EventLoop
  private let tickInterval: TimeAmount
  /// Compresses the messages of these connections; it takes memory with the first of them.
  let compressor = MessageCompressor()
  private var handlers: [WebSocketHandler] = []
  private var ticker: RepeatedTask?
  private var emptied: EventLoopPromise<Void>?

  init(eventLoop: any EventLoop, tickInterval: TimeAmount) {
    self.eventLoop = eventLoop
    self.tickInterval = tickInterval
  }

  var count: Int { handlers.count }

  func add(_ handler: WebSocketHandler) {
    handler.registrySlot = handlers.count
    handlers.append(handler)
    if ticker == nil { startTicking() }
  }

  func remove(_ handler: WebSocketHandler) {
    guard let slot = handler.registrySlot else { return }
    handler.registrySlot = nil
    let last = handlers.removeLast()
    if last !== handler {
      handlers[slot] = last
      last.registrySlot = slot
    }
    if handlers.isEmpty {
      ticker?.cancel()
      ticker = nil
      emptied?.succeed()
      emptied = nil
    }
  }

  func closeAll(code: WebSocketCloseCode, reason: String) {
    for handler in handlers { handler.close(code: code, reason: reason) }
  }

  func closeAll(code: WebSocketCloseCode, for reason: (_ grant: any Sendable) -> String?) {
    for handler in handlers { handler.close(code: code, for: reason) }
  }

  /// Succeeds when no connection is open.
  func whenEmpty() -> EventLoopFuture<Void> {
    if handlers.isEmpty { return eventLoop.makeSucceededVoidFuture() }
    let promise = emptied ?? eventLoop.makePromise()
    emptied = promise
    return promise.futureResult
  }

  private func startTicking() {
    let bound = NIOLoopBound(self, eventLoop: eventLoop)
    ticker = eventLoop.scheduleRepeatedTask(initialDelay: tickInterval, delay: tickInterval) { _ in bound.value.tick() }
  }

  private func tick() {
    let now = NIODeadline.now()
    // A tick may close a session and change the list, so the loop runs over a copy.
    for handler in handlers { handler.tick(at: now) }
  }
}

/// All agent connections of a server, by event loop.
struct ServerConnections: Sendable {
  private struct Entry: Sendable {
    let eventLoop: any EventLoop
    let connections: NIOLoopBoundBox<LoopConnections>
  }

  private let loops: [ObjectIdentifier: Entry]

  /// Creates one set per event loop of the group.
  init(group: any EventLoopGroup, tickInterval: TimeAmount = .seconds(1)) {
    var loops: [ObjectIdentifier: Entry] = [:]
    for loop in group.makeIterator() {
      let connections = LoopConnections(eventLoop: loop, tickInterval: tickInterval)
      loops[ObjectIdentifier(loop)] = Entry(eventLoop: loop, connections: .makeBoxSendingValue(connections, eventLoop: loop))
    }
    self.loops = loops
  }

  /// The set of an event loop of the group; must be called on that event loop.
  func on(_ loop: any EventLoop) -> LoopConnections {
    guard let entry = loops[ObjectIdentifier(loop)] else {
      preconditionFailure("the server's group does not have the event loop \(loop)")
    }
    return entry.connections.value
  }

  /// Asks every agent connection to close.
  func closeAll(code: WebSocketCloseCode, reason: String) {
    for entry in loops.values {
      entry.eventLoop.execute { entry.connections.value.closeAll(code: code, reason: reason) }
    }
  }

  /// Asks the agent connections to close that were opened with something for which there is a reason.
  func closeAll(code: WebSocketCloseCode, for reason: @escaping @Sendable (_ grant: any Sendable) -> String?) {
    for entry in loops.values {
      entry.eventLoop.execute { entry.connections.value.closeAll(code: code, for: reason) }
    }
  }

  /// Returns when no agent is connected.
  func waitUntilEmpty() async {
    for entry in loops.values {
      // The call fails only after the event loop was shut down, and its connections with it.
      try? await entry.eventLoop.flatSubmit { entry.connections.value.whenEmpty() }.get()
    }
  }
}
