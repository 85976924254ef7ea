import NIOCore

/// Decides how long a connection waits for its peer: for a request, for the rest of a head, and for the rest of a body.
struct Patience {
  /// What is over when a deadline has passed.
  enum Wait: Equatable {
    /// No request has begun: the connection may be closed without an answer.
    case idle
    /// A request has arrived in part and deserves an answer.
    case arrival
  }

  private let limits: ConnectionLimits
  /// The last progress: a whole head, a piece of a body, or the end of a response.
  private(set) var progress: NIODeadline
  /// The first byte of a head that is not complete.
  private var headBegan: NIODeadline?

  init(_ limits: ConnectionLimits, at now: NIODeadline) {
    self.limits = limits
    progress = now
  }

  /// Records progress.
  mutating func advanced(at now: NIODeadline) {
    progress = now
  }

  /// Records bytes between two requests, which begin a head.
  mutating func receivedPartOfHead(at now: NIODeadline) {
    headBegan = headBegan ?? now
  }

  /// Records the end of a head.
  mutating func receivedHead() {
    headBegan = nil
  }

  /// The end of the present wait; nil if the connection waits for the node alone, or for nothing.
  ///
  /// A body counts from its head on: `bytes` have arrived since `began`.
  func deadline(in state: ConnectionStateMachine.State, began: NIODeadline, bytes: Int) -> (at: NIODeadline, wait: Wait)? {
    switch state {
    case .waiting:
      guard let headBegan else { return (progress + limits.idleTimeout, .idle) }
      return (min(progress + limits.idleTimeout, headBegan + limits.headTimeout), .arrival)
    case .receiving:
      let earned = TimeAmount.nanoseconds(Int64(bytes) * (1_000_000_000 / Int64(limits.bodyRate)))
      return (min(progress + limits.idleTimeout, began + min(limits.requestTimeout, limits.bodyGrace + earned)), .arrival)
    case .answering, .lingering, .upgraded: return nil
    }
  }
}

/// A request has not arrived completely in time.
struct RequestTimedOut: Error {}
