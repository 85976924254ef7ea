import Logging
import NIOCore
import NIOHTTP1
import NIOHTTPTypes
import NIOHTTPTypesHTTP1

/// Stands between NIO's HTTP/1 codec and the router, and decides for each request who answers it: itself for probes and refusals, a
/// WebSocket, or the router.
///
/// The router's part of the pipeline is only built when a request needs it, so that an agent's connection never has it. Requests are taken
/// one at a time: what a client pipelines behind waits here, and the channel is not read meanwhile.
final class FrontHandler: ChannelDuplexHandler, RemovableChannelHandler {
  typealias InboundIn = HTTPServerRequestPart
  typealias InboundOut = HTTPServerRequestPart
  typealias OutboundIn = HTTPServerResponsePart
  typealias OutboundOut = HTTPServerResponsePart

  /// What a connection turned out to be.
  enum Negotiated: Sendable {
    case http
    case webSocket
    /// It ended before it was anything.
    case closed
  }

  private enum Input {
    case part(HTTPServerRequestPart)
    case malformed(any Error)
  }

  let shared: FrontContext
  private let negotiation: EventLoopPromise<Negotiated>
  var machine = ConnectionStateMachine()
  /// The request that the front answers itself, and how.
  private var own: (head: HTTPRequestHead, answer: OwnAnswer)?
  private var waiting: ArraySlice<Input> = []
  /// The router's part of the pipeline stands behind this handler.
  private(set) var hasRouter = false
  private var isRouterWanted = false
  private var isReadHeld = false
  private var isInputClosed = false
  private var isOutputClosed = false
  private var needsFlush = false
  /// The request in progress came in HTTP/1.0, where a connection that stays must say so.
  private var isHTTP10 = false
  private var hasStoppedParser = false
  private var lastRead = NIODeadline.now()
  private var requestBegan = NIODeadline.now()
  private var idleTimer: Scheduled<Void>?
  private var context: ChannelHandlerContext?
  private(set) var encoder: ChannelHandlerContext?

  init(shared: FrontContext, negotiation: EventLoopPromise<Negotiated>) {
    self.shared = shared
    self.negotiation = negotiation
  }

  func handlerAdded(context: ChannelHandlerContext) {
    self.context = context
    encoder = try? context.pipeline.syncOperations.context(handlerType: HTTPResponseEncoder.self)
    scheduleIdleCheck(in: shared.limits.idleTimeout, context: context)
  }

  func handlerRemoved(context: ChannelHandlerContext) {
    negotiation.succeed(.closed)
    idleTimer?.cancel()
    self.context = nil
    encoder = nil
  }

  func channelInactive(context: ChannelHandlerContext) {
    negotiation.succeed(.closed)
    idleTimer?.cancel()
    context.fireChannelInactive()
  }

  /// Builds the router's part of the pipeline; must be called on the event loop, once, after the connection was negotiated as HTTP.
  func attachRouter() throws -> NIOAsyncChannel<HTTPRequestPart, HTTPResponsePart> {
    guard let context, context.channel.isActive else { throw ChannelError.ioOnClosedChannel }
    try context.pipeline.syncOperations.addHandler(HTTP1ToHTTPServerCodec(secure: false))
    let channel = try NIOAsyncChannel<HTTPRequestPart, HTTPResponsePart>(
      wrappingChannelSynchronously: context.channel, configuration: .init(isOutboundHalfClosureEnabled: true))
    hasRouter = true
    isRouterWanted = false
    takeWaitingSoon(context: context)
    return channel
  }

  // MARK: Requests in their order

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    lastRead = .now()
    receive(.part(Self.unwrapInboundIn(data)), context: context)
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    switch error {
    case is HTTPParserError: receive(.malformed(error), context: context)
    case is ByteToMessageDecoderError: break  // The decoder's echo of an error that it has reported.
    default: context.close(promise: nil)
    }
  }

  private func receive(_ input: Input, context: ChannelHandlerContext) {
    if machine.state == .lingering { return }
    if waiting.isEmpty, canTake { take(input, context: context) } else { waiting.append(input) }
  }

  private var canTake: Bool {
    !isRouterWanted && (machine.takesRequest || machine.isReceiving)
  }

  private func take(_ input: Input, context: ChannelHandlerContext) {
    switch input {
    case .part(.head(let head)): begin(head, context: context)
    case .part(.body(let body)): if own == nil { context.fireChannelRead(Self.wrapInboundOut(.body(body))) }
    case .part(.end(let trailers)):
      if own == nil {
        context.fireChannelRead(Self.wrapInboundOut(.end(trailers)))
        if hasStoppedParser { replaceDecoder(context: context) }
      }
      follow(machine.requestEnd(), context: context)
    case .malformed(let error): refuseMalformed(error, context: context)
    }
  }

  private func begin(_ head: HTTPRequestHead, context: ChannelHandlerContext) {
    let answer = shared.ownAnswer(to: head)
    if answer == nil, !hasRouter {
      waiting.insert(.part(.head(head)), at: waiting.startIndex)
      isRouterWanted = true
      negotiation.succeed(.http)
      return
    }
    requestBegan = lastRead
    isHTTP10 = head.isHTTP10
    hasStoppedParser = head.stopsParser
    machine.requestHead(answer == nil ? .router : .front, keepAlive: head.isKeepAlive)
    guard let answer else {
      if head.expectsContinue { writeRaw(RawResponse.continueExpected) }
      context.fireChannelRead(Self.wrapInboundOut(.head(head)))
      return
    }
    own = (head, answer)
    if case .refuseUnread = answer {
      // Its body is not worth reading: answer at once and hang up.
      machine.endAfterAnswer()
      answerOwn(context: context)
    }
  }

  private func follow(_ next: ConnectionStateMachine.Next, context: ChannelHandlerContext) {
    switch next {
    case .nothing: break
    case .answer: answerOwn(context: context)
    case .proceed: if !waiting.isEmpty { takeWaitingSoon(context: context) }
    case .linger: linger(context: context)
    }
  }

  /// Not now, but in a task of its own: this may be called from within the router's write.
  private func takeWaitingSoon(context: ChannelHandlerContext) {
    let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
    context.eventLoop.execute { bound.value.takeWaiting() }
  }

  private func takeWaiting() {
    guard let context else { return }
    while canTake, let input = waiting.popFirst() { take(input, context: context) }
    if waiting.isEmpty || machine.state == .lingering { waiting = [] }
    finishRead()
    if waiting.isEmpty, isReadHeld {
      isReadHeld = false
      context.read()
    }
  }

  func channelReadComplete(context: ChannelHandlerContext) {
    finishRead()
  }

  /// Does what a read cycle ends with; also for requests that come without one.
  func finishRead() {
    flushIfNeeded()
    context?.fireChannelReadComplete()
  }

  func read(context: ChannelHandlerContext) {
    // What is pipelined behind a request that is being answered stays in the socket.
    if waiting.isEmpty { context.read() } else { isReadHeld = true }
  }

  // MARK: Answers

  /// Answers the request in `own`, which is complete or not to be read further.
  private func answerOwn(context: ChannelHandlerContext) {
    guard let (head, answer) = own.take() else { preconditionFailure("the front is to answer a request that it does not have") }
    switch answer {
    case .probe(let probe):
      let probed = shared.probes(probe, head.headers.first(name: "accept"))
      var response = RawResponse(status: probed.status, contentType: probed.contentType, body: probed.body)
      if let id = head.headers.first(name: RequestID.headerName) { response.headers = [(RequestID.headerName, RequestID.taken(from: id))] }
      respond(with: response, isHead: head.method == .HEAD, context: context)
    case .refuse(let refusal), .refuseUnread(let refusal):
      refuse(refusal, head: head, context: context)
    case .handshake:
      answerHandshake(head, context: context)
    }
  }

  func refuse(_ refusal: Refusal, head: HTTPRequestHead, context: ChannelHandlerContext) {
    let requestID = RequestID.taken(from: head.headers.first(name: RequestID.headerName))
    shared.logger.debug(
      "refused a request",
      metadata: ["method": "\(head.method)", "path": "\(head.path)", "status": "\(refusal.status)", "requestId": "\(requestID)"])
    var response = RawResponse(
      status: refusal.status, contentType: "application/json", body: refusal.body(requestID: requestID), headers: refusal.headers)
    response.headers.append((RequestID.headerName, requestID))
    respond(with: response, isHead: head.method == .HEAD, context: context)
  }

  private func respond(with response: RawResponse, isHead: Bool = false, context: ChannelHandlerContext) {
    var response = response
    response.isHead = isHead
    if !machine.keepsAlive {
      response.connection = "close"
    } else if isHTTP10 {
      response.connection = "keep-alive"
    }
    var buffer = context.channel.allocator.buffer(capacity: 256 + response.body.readableBytes)
    response.write(to: &buffer, date: shared.date.value())
    writeRaw(buffer)
    if hasStoppedParser { replaceDecoder(context: context) }
    follow(machine.answerEnd(), context: context)
  }

  private func refuseMalformed(_ error: any Error, context: ChannelHandlerContext) {
    switch machine.malformed() {
    case .ignore: break
    case .tellRouter: context.fireErrorCaught(error)
    case .answer:
      own = nil
      let refusal = Refusal(malformed: error)
      let requestID = RequestID.make()
      shared.logger.debug("malformed HTTP", metadata: ["error": "\(error)", "requestId": "\(requestID)"])
      var response = RawResponse(status: refusal.status, contentType: "application/json", body: refusal.body(requestID: requestID))
      response.headers = [(RequestID.headerName, requestID)]
      respond(with: response, context: context)
    }
  }

  func writeRaw(_ buffer: ByteBuffer) {
    encoder?.write(NIOAny(buffer), promise: nil)
    needsFlush = true
  }

  func flushIfNeeded() {
    guard needsFlush else { return }
    needsFlush = false
    context?.flush()
  }

  func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
    guard machine.state != .lingering, machine.state != .upgraded else {
      promise?.fail(ChannelError.ioOnClosedChannel)
      return
    }
    switch Self.unwrapOutboundIn(data) {
    case .head(var head) where head.status.code >= 200:
      head.headers.replaceOrAdd(name: "date", value: shared.date.value())
      if head.headers.contains(name: "connection"), !head.isKeepAlive { machine.endAfterAnswer() }
      if !machine.keepsAlive {
        head.headers.replaceOrAdd(name: "connection", value: "close")
      } else if isHTTP10 {
        head.headers.replaceOrAdd(name: "connection", value: "keep-alive")
      }
      context.write(Self.wrapOutboundOut(.head(head)), promise: promise)
    case .end:
      context.write(data, promise: promise)
      lastRead = .now()
      follow(machine.answerEnd(), context: context)
    default:
      context.write(data, promise: promise)
    }
  }

  // MARK: Ending

  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    switch event {
    case is ChannelShouldQuiesceEvent:
      stop(context: context)
    case let event as ChannelEvent where event == .inputClosed:
      isInputClosed = true
      stop(context: context)
      context.fireUserInboundEventTriggered(event)
    default:
      context.fireUserInboundEventTriggered(event)
    }
  }

  private func stop(context: ChannelHandlerContext) {
    if !waiting.isEmpty, machine.takesRequest {
      machine.endAfterAnswer()
      return
    }
    switch machine.stop() {
    case .closeNow: context.close(promise: nil)
    case .closeIfFlushed: if isOutputClosed { context.close(promise: nil) }
    case .afterAnswer, .ignore: break
    }
  }

  /// Ends the output and lets the peer read it before the connection goes: closing at once with unread input would reset it.
  private func linger(context: ChannelHandlerContext) {
    waiting = []
    needsFlush = false
    context.flush()
    let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
    let channel = context.channel
    let closed = context.eventLoop.makePromise(of: Void.self)
    closed.futureResult.whenComplete { _ in bound.value.outputClosed() }
    context.close(mode: .output, promise: closed)
    context.eventLoop.scheduleTask(in: shared.limits.idleTimeout) { channel.close(promise: nil) }
    if isReadHeld {
      isReadHeld = false
      context.read()
    }
  }

  private func outputClosed() {
    guard let context else { return }
    isOutputClosed = true
    let channel = context.channel
    if isInputClosed {
      channel.close(promise: nil)
    } else {
      context.eventLoop.scheduleTask(in: shared.limits.lingerTimeout) { channel.close(promise: nil) }
    }
  }

  func stopTimer() {
    idleTimer?.cancel()
    idleTimer = nil
  }

  func becameWebSocket() {
    negotiation.succeed(.webSocket)
  }

  private func scheduleIdleCheck(in delay: TimeAmount, context: ChannelHandlerContext) {
    let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
    idleTimer = context.eventLoop.scheduleTask(in: delay) { bound.value.checkIdle() }
  }

  private func checkIdle() {
    guard let context else { return }
    let limits = shared.limits
    var deadline = NIODeadline.now() + limits.idleTimeout
    switch machine.state {
    case .waiting: if !isRouterWanted { deadline = lastRead + limits.idleTimeout }
    case .receiving: deadline = min(lastRead + limits.idleTimeout, requestBegan + limits.requestTimeout)
    case .answering: break
    case .lingering, .upgraded: return
    }
    let left = deadline - .now()
    if left <= .zero {
      shared.logger.debug("closing a connection on which nothing arrives", metadata: ["state": "\(machine.state)"])
      context.close(promise: nil)
    } else {
      scheduleIdleCheck(in: left, context: context)
    }
  }
}
