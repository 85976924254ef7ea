import DequeModule
import NIOCore

/// The event-loop side of a connection: writes commands, delivers replies, and watches deadlines.
///
/// The commands of one tick of the loop go out in one write; while replies are being read, the write follows the end of the read. A batch
/// is also written once it has 32 commands, or as many as the server has not answered, so that the server works while the client encodes.
final class RedisChannelHandler: ChannelInboundHandler {
  typealias InboundIn = ByteBuffer
  typealias OutboundOut = ByteBuffer

  struct Settings {
    let limits: RESPLimits
    let stallTimeout: TimeAmount
    let keepAliveInterval: TimeAmount
    /// Receives the pushes of a subscription connection; in RESP2 a push has the form of an array.
    let onPush: PushHandler?
  }

  /// Handles a push, or an error that may refuse a command that is answered by pushes only; returns whether the value was for a
  /// subscription.
  typealias PushHandler = @Sendable (RESPValue) -> Bool

  private static let flushEvery = 32
  private static let keptCapacity = 256 << 10
  private static let probe = RedisCommand("PING")
  /// The first words of pushes for the subscriptions of this client.
  private static let pushes: Set = ["message", "subscribe", "unsubscribe", "pmessage", "psubscribe", "punsubscribe"]

  private let settings: Settings
  private let inbox: ConnectionInbox
  private let executor: RedisEventLoopExecutor?
  private let eventLoop: any EventLoop
  private let closed: EventLoopPromise<RedisError>
  // Only the event loop accesses these properties; checking exclusivity again would cost a tenth of a command.
  @exclusivity(unchecked) private var timers: CommandTimers
  @exclusivity(unchecked) private var decoder: RESPDecoder
  @exclusivity(unchecked) private var queue: ReplyQueue<ReplyWaiter>
  /// The replies so far of the pipeline at the head of the queue, and its commands.
  @exclusivity(unchecked) private var headOutcome = PipelineOutcome()
  @exclusivity(unchecked) private var headCommands: [RedisCommand] = []
  @exclusivity(unchecked) private var outgoing = ByteBuffer()
  /// The number of commands in `outgoing`.
  @exclusivity(unchecked) private var unflushed = 0
  @exclusivity(unchecked) private var spareBatch = ConnectionInbox.Batch()
  @exclusivity(unchecked) private var context: ChannelHandlerContext?
  @exclusivity(unchecked) private var isReading = false
  @exclusivity(unchecked) private var isFlushScheduled = false
  /// The reason that the connection accepts no further commands while it awaits replies.
  @exclusivity(unchecked) private var drainReason: RedisError?
  @exclusivity(unchecked) private var closeReason: RedisError?
  /// The time of this tick, read once.
  @exclusivity(unchecked) private var tick: NIODeadline?
  @exclusivity(unchecked) private var timer: (at: NIODeadline, task: Scheduled<Void>)?

  init(
    settings: Settings, inbox: ConnectionInbox, metrics: RedisMetrics, executor: RedisEventLoopExecutor?, eventLoop: any EventLoop,
    closed: EventLoopPromise<RedisError>
  ) {
    self.settings = settings
    self.inbox = inbox
    self.executor = executor
    self.eventLoop = eventLoop
    self.closed = closed
    timers = CommandTimers(metrics: metrics)
    decoder = RESPDecoder(limits: settings.limits)
    queue = ReplyQueue(
      stallTimeout: settings.stallTimeout, keepAliveInterval: settings.keepAliveInterval, now: eventLoop.now)
  }

  // MARK: Commands

  /// Accepts commands from a caller on the event loop.
  func submit(_ commands: some Collection<RedisCommand>, id: UInt64, waiter: ReplyWaiter, timeout: TimeAmount) {
    if let reason = closeReason ?? drainReason { return waiter.fail(.notSent(reason)) }
    guard inbox.admits(commands.count) else { return waiter.fail(.overloaded) }
    let used = outgoing.readableBytes
    guard outgoing.write(commands) else { return waiter.fail(.overloaded) }
    let now = currentTime()
    enqueue(
      .init(
        id: id, waiter: waiter, replies: commands.count, submitted: now, deadline: now + timeout, bytes: outgoing.readableBytes - used))
    publishLoad()
    unflushed += commands.count
    // A batch may grow while the server has more commands to execute than the batch has.
    if unflushed < max(Self.flushEvery, queue.repliesInFlight - unflushed) { return scheduleFlush() }
    flush()
    // No later event would reset the time of this tick.
    if !isReading, !isFlushScheduled { tick = nil }
  }

  /// Writes a command that is answered by pushes only.
  func push(_ command: RedisCommand) {
    guard closeReason == nil else { return }
    outgoing.write(command)
    scheduleFlush()
  }

  /// Takes the commands that callers on other threads have submitted.
  func drainInbox() {
    inbox.take(into: &spareBatch)
    let now = currentTime()
    if !spareBatch.submissions.isEmpty {
      flush()
      while let submission = spareBatch.submissions.popFirst() {
        // A failed write closes the channel before it returns.
        if let closeReason {
          submission.waiter.fail(.notSent(closeReason))
          continue
        }
        enqueue(submission.entry(now: now))
      }
      publishLoad()
      if closeReason == nil { write(spareBatch.buffer) }
    }
    for id in spareBatch.cancellations {
      if let cancelled = queue.cancel(id) { cancelled.waiter.fail(.cancelled) }
    }
    spareBatch.reset()
    if !isReading { tick = nil }
  }

  private func enqueue(_ entry: consuming ReplyQueue<ReplyWaiter>.Entry) {
    setTimer(noLaterThan: entry.deadline)
    queue.append(entry)
  }

  private func currentTime() -> NIODeadline {
    if let tick { return tick }
    let now = eventLoop.now
    tick = now
    return now
  }

  private func publishLoad() {
    inbox.publish(commandsInFlight: queue.repliesInFlight, bytesInFlight: queue.bytesInFlight)
  }

  // MARK: Writing

  private func scheduleFlush() {
    // The current read ends with a flush.
    if isReading || isFlushScheduled { return }
    isFlushScheduled = true
    eventLoop.assumeIsolatedUnsafeUnchecked().execute {
      self.isFlushScheduled = false
      self.flush()
      if !self.isReading { self.tick = nil }
    }
  }

  private func flush() {
    guard outgoing.readableBytes > 0 else { return }
    write(outgoing)
    unflushed = 0
    if outgoing.capacity > Self.keptCapacity { outgoing = ByteBuffer() } else { outgoing.clear() }
  }

  private func write(_ buffer: ByteBuffer) {
    queue.markWritten()
    context?.writeAndFlush(wrapOutboundOut(buffer), promise: nil)
  }

  // MARK: Replies

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    guard closeReason == nil else { return }
    isReading = true
    let now = eventLoop.now
    tick = now
    queue.arrived(now: now)
    inbox.publish(lastArrival: now)
    decoder.feed(unwrapInboundIn(data))
    do throws(RESPDecodingError) {
      try decoder.forEachReply { value in
        received(value, now: now)
        return closeReason == nil
      }
    } catch {
      fail(
        RedisError(
          .protocolViolation,
          message: "The peer does not use the Redis protocol: check the address, and whether the port expects TLS.", cause: error))
    }
  }

  func channelReadComplete(context: ChannelHandlerContext) {
    // Resumed callers that prefer this event loop run here, so that their next commands go out in one write.
    executor?.drain()
    isReading = false
    flush()
    tick = nil
    if let drainReason, queue.isEmpty { fail(drainReason) }
  }

  private func received(_ value: consuming RESPValue, now: NIODeadline) {
    if isPush(value) {
      _ = settings.onPush?(value)
      return
    }
    // A command that is answered by pushes only is not in the queue, so its refusal may precede the reply to a probe.
    if case .error = value, case .probe? = queue.firstWaiter, settings.onPush?(value) == true { return }
    let delivery = queue.takeReply()
    // The counts must be current before the caller continues, perhaps with its next command.
    publishLoad()
    switch consume delivery {
    case .deliver(.command(let continuation, let name), let submitted):
      timers.record(name, nanoseconds: (now - submitted).nanoseconds)
      continuation.resume(returning: .reply(value))
    case .deliver(.pipeline(let continuation, let commands), let submitted):
      if headOutcome.results.isEmpty { headCommands = commands }
      collect(value, elapsed: now - submitted)
      continuation.resume(returning: takeHeadOutcome())
    case .deliver(.probe, _): break
    case .collect(let submitted):
      if headOutcome.results.isEmpty, case .pipeline(_, let commands)? = queue.firstWaiter {
        headCommands = commands
        headOutcome.reserveCapacity(commands.count)
      }
      collect(value, elapsed: now - submitted)
    case .drop: _ = takeHeadOutcome()
    case .unsolicited: unsolicited(value)
    }
  }

  /// Adds a reply to the pipeline at the head of the queue.
  private func collect(_ value: consuming RESPValue, elapsed: TimeAmount) {
    timers.record(headCommands[headOutcome.results.count].name, nanoseconds: elapsed.nanoseconds)
    headOutcome.append(value)
  }

  private func takeHeadOutcome() -> PipelineOutcome {
    headCommands = []
    var outcome = PipelineOutcome()
    swap(&outcome, &headOutcome)
    return outcome
  }

  @inline(__always)
  private func isPush(_ value: borrowing RESPValue) -> Bool {
    switch value {
    case .push: true
    // In RESP2 only the first word distinguishes a push from a reply.
    case .array(let elements): settings.onPush != nil && elements.first?.string.map(Self.pushes.contains) == true
    default: false
    }
  }

  private func unsolicited(_ value: RESPValue) {
    if let message = value.errorMessage {
      if settings.onPush?(value) == true { return }
      fail(RedisError(.connectionFailed, message: "The server is closing the connection.", serverMessage: message))
    } else {
      fail(RedisError(.protocolViolation, message: "The server sent an unsolicited reply."))
    }
  }

  // MARK: Time

  private func setTimer(noLaterThan deadline: NIODeadline) {
    if let timer {
      guard deadline < timer.at else { return }
      timer.task.cancel()
    }
    let task = eventLoop.assumeIsolatedUnsafeUnchecked().scheduleTask(deadline: deadline) { self.timerFired() }
    timer = (deadline, task)
  }

  private func timerFired() {
    timer = nil
    // The batch will be sent, so no caller may get the outcome that its command was not sent.
    flush()
    guard closeReason == nil else { return }
    let now = eventLoop.now
    let expiry = queue.expire(now: now)
    for expired in expiry.timedOut {
      expired.waiter.fail(.timedOut(isWritten: expired.isWritten), received: takeReplies(of: expired))
    }
    if expiry.isStalled {
      fail(RedisError(.timedOut, message: "The server has stopped replying."))
      return
    }
    if expiry.needsProbe { submit(CollectionOfOne(Self.probe), id: 0, waiter: .probe, timeout: settings.stallTimeout) }
    setTimer(noLaterThan: expiry.next)
  }

  private func takeReplies(of waiting: ReplyQueue<ReplyWaiter>.Unanswered) -> PipelineOutcome {
    waiting.received > 0 ? takeHeadOutcome() : PipelineOutcome()
  }

  // MARK: The channel's life

  func handlerAdded(context: ChannelHandlerContext) {
    self.context = context
    setTimer(noLaterThan: eventLoop.now + settings.keepAliveInterval)
  }

  func handlerRemoved(context: ChannelHandlerContext) {
    fail(RedisError(.connectionFailed, message: "The connection was closed."))
    self.context = nil
  }

  func channelInactive(context: ChannelHandlerContext) {
    fail(RedisError(.connectionFailed, message: "The server closed the connection."))
    context.fireChannelInactive()
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    fail(RedisError(.connectionFailed, message: "The connection broke.", cause: error))
  }

  /// Refuses new commands, and closes the channel when the replies in flight have arrived or the limit is reached.
  func drain(within grace: TimeAmount, reason: RedisError) {
    guard closeReason == nil, drainReason == nil else { return }
    drainReason = reason
    drainInbox()
    flush()
    refuse(inbox.refuse(reason), reason)
    if queue.isEmpty { return fail(reason) }
    eventLoop.assumeIsolatedUnsafeUnchecked().scheduleTask(in: grace) { self.fail(reason) }
  }

  private func refuse(_ submissions: consuming UniqueDeque<ConnectionInbox.Submission>, _ reason: RedisError) {
    while let submission = submissions.popFirst() { submission.waiter.fail(.notSent(reason)) }
  }

  private static let shutDownError = RedisError(.shutDown, message: "The client is shutting down.")

  func close() {
    fail(Self.shutDownError)
  }

  /// Ends the connection once: each waiter gets the reason, and whether its command may have been executed.
  func fail(_ reason: RedisError) {
    guard closeReason == nil else { return }
    closeReason = reason
    timer?.task.cancel()
    timer = nil
    let refused = inbox.close(reason)
    for waiting in queue.close() {
      let failure: CommandFailure = waiting.isWritten ? .lost(reason) : .notSent(reason)
      waiting.waiter.fail(failure, received: takeReplies(of: waiting))
    }
    refuse(refused, reason)
    context?.close(promise: nil)
    closed.succeed(reason)
  }
}
