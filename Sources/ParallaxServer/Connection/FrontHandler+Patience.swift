import Logging
import NIOCore

// How long the connection waits for its peer.
extension FrontHandler {
  /// The time of the event loop.
  var now: NIODeadline { context?.eventLoop.now ?? .now() }

  /// Bytes are about to reach the parser; between two requests they begin a head.
  func willParse() {
    if machine.takesRequest { patience.receivedPartOfHead(at: now) }
  }

  /// Has a request that has arrived in part checked when its time is over, which may be before that of an idle connection.
  func watchArrival() {
    guard let context, let (deadline, wait) = waitForPeer, wait == .arrival, nextCheck.map({ deadline < $0 }) ?? false else { return }
    scheduleCheck(in: deadline - now, context: context)
  }

  private var waitForPeer: (at: NIODeadline, wait: Patience.Wait)? {
    isRouterWanted ? nil : patience.deadline(in: machine.state, began: request.began, bytes: request.bodyBytes)
  }

  func scheduleCheck(in delay: TimeAmount, context: ChannelHandlerContext) {
    waitTimer?.cancel()
    nextCheck = now + delay
    let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
    waitTimer = context.eventLoop.scheduleTask(in: delay) { bound.value.checkWait() }
  }

  private func checkWait() {
    guard let context, machine.state != .lingering, machine.state != .upgraded else { return }
    if let (deadline, wait) = waitForPeer, deadline <= now {
      shared.logger.debug("a peer has taken too long", metadata: ["state": "\(machine.state)", "wait": "\(wait)"])
      if wait == .idle { return context.close(promise: nil) }
      refuseMalformed(RequestTimedOut(), context: context)
      finishRead()
    }
    guard self.context != nil, machine.state != .lingering else { return }
    scheduleCheck(in: waitForPeer.map { $0.at - now } ?? shared.limits.idleTimeout, context: context)
  }

  func stopTimer() {
    waitTimer?.cancel()
    waitTimer = nil
    nextCheck = nil
  }
}
