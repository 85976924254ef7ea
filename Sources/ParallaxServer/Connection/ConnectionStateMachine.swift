/// The turns of an HTTP/1 connection: one request at a time, responses in the order of the requests, an orderly end.
struct ConnectionStateMachine {
  /// The component that answers a request.
  enum Answerer: Equatable {
    /// The front handler itself, when the request is complete.
    case front
    case router
  }

  enum State: Equatable {
    /// Between requests. → receiving, lingering, upgraded
    case waiting
    /// A request is arriving; a router may answer before it is complete. → answering, waiting, lingering, upgraded
    case receiving(Answerer, isAnswered: Bool)
    /// The router has the whole request and has not answered it. → waiting, lingering
    case answering
    /// The last response is written; input is dropped until the peer ends or the linger time-out passes. Final.
    case lingering
    /// The connection is a WebSocket. Final.
    case upgraded
  }

  /// What follows the end of a request or of an answer.
  enum Next: Equatable {
    case nothing
    /// The front handler answers now.
    case answer
    /// The next request may be read.
    case proceed
    /// Flush, end the output, and linger.
    case linger
  }

  private(set) var state = State.waiting
  /// The connection stays open after the response.
  private(set) var keepsAlive = true

  /// A request may be taken from the wire.
  var takesRequest: Bool { state == .waiting }

  /// A request has arrived in part.
  var isReceiving: Bool {
    if case .receiving = state { true } else { false }
  }

  mutating func requestHead(_ answerer: Answerer, keepAlive: Bool) {
    guard state == .waiting else { preconditionFailure("a request began while \(state)") }
    state = .receiving(answerer, isAnswered: false)
    if !keepAlive { keepsAlive = false }
  }

  mutating func requestEnd() -> Next {
    switch state {
    case .receiving(.front, _): return .answer
    case .receiving(.router, isAnswered: false):
      state = .answering
      return .nothing
    case .receiving(.router, isAnswered: true): return turnOver()
    case .lingering: return .nothing
    case .waiting, .answering, .upgraded: preconditionFailure("a request ended while \(state)")
    }
  }

  /// The response has `Connection: close`, or must have it.
  mutating func endAfterAnswer() {
    keepsAlive = false
  }

  mutating func answerEnd() -> Next {
    switch state {
    case .receiving(.front, _), .answering: return turnOver()
    case .receiving(.router, _):
      guard keepsAlive else { return turnOver() }
      state = .receiving(.router, isAnswered: true)
      return .nothing
    case .waiting, .lingering, .upgraded: return .nothing
    }
  }

  private mutating func turnOver() -> Next {
    state = keepsAlive ? .waiting : .lingering
    return keepsAlive ? .proceed : .linger
  }

  mutating func upgrade() {
    guard state == .receiving(.front, isAnswered: false) else { preconditionFailure("an upgrade while \(state)") }
    state = .upgraded
  }

  enum Stop: Equatable {
    case closeNow
    /// The response in progress is the last one.
    case afterAnswer
    /// The last response may still wait to be written.
    case closeIfFlushed
    case ignore
  }

  /// The server stops, or the peer has ended its output.
  mutating func stop() -> Stop {
    switch state {
    case .waiting: return .closeNow
    case .lingering: return .closeIfFlushed
    case .receiving, .answering:
      keepsAlive = false
      return .afterAnswer
    case .upgraded: return .ignore
    }
  }

  enum Malformed: Equatable {
    /// No response is in progress: the front handler sends the error and ends the connection.
    case answer
    /// The router waits for the rest of its request, which will not arrive.
    case notifyRouter
    /// The request has its response: flush, end the output, and linger.
    case linger
    case ignore
  }

  /// The input is not HTTP; the input after it cannot be parsed.
  mutating func malformed() -> Malformed {
    keepsAlive = false
    switch state {
    case .waiting:
      state = .receiving(.front, isAnswered: false)
      return .answer
    case .receiving(.front, _): return .answer
    case .receiving(.router, isAnswered: false):
      state = .answering
      return .notifyRouter
    case .receiving(.router, isAnswered: true):
      state = .lingering
      return .linger
    case .answering, .lingering, .upgraded: return .ignore
    }
  }
}
