import Logging
import NIOCore
import NIOHTTP1
import NIOHTTPTypes
import NIOHTTPTypesHTTP1
import NIOSSL
import ParallaxAPI

/// Stands between NIO's HTTP/1 codec and the router and dispatches each request: to its own answers for probes and refusals, to a
/// WebSocket, or to the router.
///
/// The router's handlers are added when a request first needs them, so an agent's connection never has them. Requests are handled one at a
/// time, and none while the peer does not read its responses: pipelined requests wait, here if the parser has produced them, else in
/// ``InboundGate`` or in the socket.
final class FrontHandler: ChannelDuplexHandler, RemovableChannelHandler {
  typealias InboundIn = HTTPServerRequestPart
  typealias InboundOut = HTTPServerRequestPart
  typealias OutboundIn = HTTPServerResponsePart
  typealias OutboundOut = HTTPServerResponsePart

  /// The protocol of a connection after its first request.
  enum Negotiated: Sendable {
    case http
    case webSocket
    /// The connection ended before its first request.
    case closed
  }

  private enum Input {
    case part(HTTPServerRequestPart)
    /// The head of a request for the router that has passed the checks.
    case admitted(HTTPRequestHead, Caller, RateLimiter.Standing?)
    case malformed(any Error)

    /// The part begins a response.
    var beginsAnswer: Bool {
      switch self {
      case .part(.head), .admitted, .malformed: true
      case .part(.body), .part(.end): false
      }
    }
  }

  /// The state of the request in progress.
  struct Request {
    /// HTTP/1.0 requires `Connection: keep-alive` on a connection that stays open.
    var isHTTP10 = false
    /// The parser stops behind the request, because the request asks for another protocol.
    var stopsParser = false
    var bodyBytes = 0
    /// The value of `Access-Control-Allow-Origin` in the response.
    var allowedOrigin: String?
    /// What the caller has left of its limit; nil without a limit.
    var standing: RateLimiter.Standing?
    /// Nil if the request is not to be logged.
    var access: AccessLogEntry?
    var began = NIODeadline.uptimeNanoseconds(0)
  }

  let shared: FrontContext
  /// The client's certificate; nil without TLS, a certificate, or scopes of it.
  private lazy var certificate = clientCertificate()
  /// The caller of the request that the router answers.
  let caller: CurrentCaller
  /// The connection exceeds the server's limit: only its probes are answered.
  let isBeyondLimit: Bool
  private let negotiation: EventLoopPromise<Negotiated>
  private(set) lazy var gate = InboundGate(front: self)
  var machine = ConnectionStateMachine()
  var request = Request()
  /// The request that the front handler answers, with its answer.
  var own: (head: HTTPRequestHead, answer: OwnAnswer)?
  private var waiting: ArraySlice<Input> = []
  /// The router's handlers are in the pipeline behind this one.
  private(set) var hasRouter = false
  private(set) var isRouterWanted = false
  /// A fresh parser is about to replace a stopped one.
  var isParserChanging = false
  private var isInputClosed = false
  /// The input has ended while earlier requests wait.
  private var isInputEndHeld = false
  private var isOutputClosed = false
  private var needsFlush = false
  var patience: Patience
  var waitTimer: Scheduled<Void>?
  /// When the timer fires; nil once the connection needs none.
  var nextCheck: NIODeadline?
  private(set) var context: ChannelHandlerContext?
  private(set) var encoder: ChannelHandlerContext?

  init(shared: FrontContext, negotiation: EventLoopPromise<Negotiated>, isBeyondLimit: Bool = false) {
    self.shared = shared
    patience = Patience(shared.limits, at: .now())
    caller = CurrentCaller(shared.policy.access.uncredentialed)
    self.negotiation = negotiation
    self.isBeyondLimit = isBeyondLimit
  }

  /// Builds the pipeline of a connection.
  static func install(_ front: FrontHandler, in pipeline: ChannelPipeline.SynchronousOperations) throws {
    try pipeline.addHandler(front.gate)
    try pipeline.addHandler(HTTPResponseEncoder())
    try pipeline.addHandler(front.shared.limits.makeDecoder())
    try pipeline.addHandler(front)
  }

  func handlerAdded(context: ChannelHandlerContext) {
    self.context = context
    encoder = try? context.pipeline.syncOperations.context(handlerType: HTTPResponseEncoder.self)
    patience = Patience(shared.limits, at: now)
    scheduleCheck(in: shared.limits.idleTimeout, context: context)
  }

  func handlerRemoved(context: ChannelHandlerContext) {
    negotiation.succeed(.closed)
    waitTimer?.cancel()
    self.context = nil
    encoder = nil
  }

  func channelInactive(context: ChannelHandlerContext) {
    logAccess(isComplete: false)
    negotiation.succeed(.closed)
    waitTimer?.cancel()
    context.fireChannelInactive()
  }

  /// Reads the certificate of a client; its chain was verified by the handshake, which precedes the first request.
  private func clientCertificate() -> ClientCertificate? {
    guard let identities = shared.tls?.identities, !identities.isEmpty, let context,
      let certificate = try? context.pipeline.syncOperations.nioSSL_peerCertificate()
    else { return nil }
    return identities.principal(names: certificate.clientNames).map {
      ClientCertificate(principal: $0, expiry: Timestamp(milliseconds: Int64(certificate.notValidAfter) * 1_000))
    }
  }

  /// Adds the router's handlers; must be called on the event loop, once, after the connection was negotiated as HTTP.
  func attachRouter() throws -> NIOAsyncChannel<HTTPRequestPart, HTTPResponsePart> {
    guard let context, context.channel.isActive else { throw ChannelError.ioOnClosedChannel }
    try context.pipeline.syncOperations.addHandler(HTTP1ToHTTPServerCodec(secure: shared.tls != nil))
    let channel = try NIOAsyncChannel<HTTPRequestPart, HTTPResponsePart>(
      wrappingChannelSynchronously: context.channel, configuration: .init(isOutboundHalfClosureEnabled: true))
    hasRouter = true
    isRouterWanted = false
    scheduleWaiting()
    return channel
  }

  // MARK: Requests in their order

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    patience.advanced(at: now)
    receive(.part(Self.unwrapInboundIn(data)), context: context)
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    switch error {
    case is HTTPParserError: receive(.malformed(error), context: context)
    case is ByteToMessageDecoderError: break  // The decoder has already reported this error as `.malformed`.
    default: context.close(promise: nil)
    }
  }

  private func receive(_ input: Input, context: ChannelHandlerContext) {
    if machine.state == .lingering { return }
    if waiting.isEmpty, canTake { take(input, context: context) } else { waiting.append(input) }
  }

  private var canTake: Bool {
    guard !isRouterWanted else { return false }
    return machine.isReceiving || (machine.takesRequest && context?.channel.isWritable == true)
  }

  /// The parser may receive more bytes.
  var takesInput: Bool { waiting.isEmpty && canTake && !isParserChanging }

  /// The last response is written, so input is dropped.
  var dropsInput: Bool { machine.state == .lingering }

  private func take(_ input: Input, context: ChannelHandlerContext) {
    switch input {
    case .part(.head(var head)):
      patience.receivedHead()
      let peer = context.channel.remoteAddress
      let client = certificate?.principal(at: .now)
      let disposition = shared.disposition(of: &head, from: peer, certificate: client, isBeyondLimit: isBeyondLimit)
      let standing = shared.standing(of: head, disposition, from: peer)
      begin(head, disposition.limited(by: standing), standing, context: context)
    case .admitted(let head, let caller, let standing): begin(head, .route(caller), standing, context: context)
    case .part(.body(let body)): take(body, context: context)
    case .part(.end(let trailers)):
      if own == nil {
        context.fireChannelRead(Self.wrapInboundOut(.end(trailers)))
        if request.stopsParser { replaceDecoder(context: context) }
      }
      follow(machine.requestEnd(), context: context)
    case .malformed(let error): refuseMalformed(error, context: context)
    }
  }

  private func begin(
    _ head: HTTPRequestHead, _ disposition: Disposition, _ standing: RateLimiter.Standing?, context: ChannelHandlerContext
  ) {
    if case .route(let caller) = disposition, !hasRouter {
      waiting.insert(.admitted(head, caller, standing), at: waiting.startIndex)
      isRouterWanted = true
      negotiation.succeed(.http)
      return
    }
    request = Request(
      isHTTP10: head.isHTTP10, stopsParser: head.stopsParser,
      allowedOrigin: shared.policy.access.allowedOrigin(of: head.headers.first(name: "origin")), standing: standing,
      access: shared.accessLogEntry(head, disposition, from: context.channel.remoteAddress, began: patience.progress),
      began: patience.progress)
    switch disposition {
    case .route(let caller):
      receiveHead(head, .router)
      self.caller.value = caller
      if head.expectsContinue { writeRaw(RawResponse.continueExpected) }
      context.fireChannelRead(Self.wrapInboundOut(.head(head)))
    case .own(let answer):
      receiveHead(head, .front)
      begin(head, answer, context: context)
    }
  }

  private func receiveHead(_ head: HTTPRequestHead, _ answerer: ConnectionStateMachine.Answerer) {
    machine.requestHead(answerer, keepAlive: head.isKeepAlive)
    if isInputClosed, !waiting.contains(where: \.beginsAnswer) { machine.endAfterAnswer() }
  }

  private func begin(_ head: HTTPRequestHead, _ answer: OwnAnswer, context: ChannelHandlerContext) {
    own = (head, answer)
    var isUnread = head.expectsContinue && head.hasBody
    if case .refuseUnread = answer { isUnread = true }
    if isUnread {
      // The body is too long, or the client holds it back until a `100 Continue` that is not sent: answer now and end the connection.
      machine.endAfterAnswer()
      answerOwn(context: context)
    }
  }

  private func take(_ body: ByteBuffer, context: ChannelHandlerContext) {
    request.bodyBytes += body.readableBytes
    guard request.bodyBytes > shared.bodyLimit.value else {
      if own == nil { context.fireChannelRead(Self.wrapInboundOut(.body(body))) }
      return
    }
    switch machine.malformed() {
    case .ignore: break
    case .linger: linger(context: context)
    case .notifyRouter: context.fireErrorCaught(RequestBodyTooLarge())
    case .answer:
      guard let head = own.take()?.head else { return }
      refuse(.bodyTooLarge(limit: shared.bodyLimit.value), head: head, context: context)
    }
  }

  func follow(_ next: ConnectionStateMachine.Next, context: ChannelHandlerContext) {
    switch next {
    case .nothing: break
    case .answer: answerOwn(context: context)
    case .proceed: if !waiting.isEmpty || gate.isHolding { scheduleWaiting() }
    case .linger: linger(context: context)
    }
  }

  /// Takes the waiting requests in a task of its own: the caller may be inside the router's write.
  func scheduleWaiting() {
    guard let context else { return }
    let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
    context.eventLoop.execute { bound.value.takeWaiting() }
  }

  private func takeWaiting() {
    guard let context else { return }
    while canTake, let input = waiting.popFirst() { take(input, context: context) }
    if waiting.isEmpty || machine.state == .lingering { waiting = [] }
    gate.feed()
    finishRead()
    if isInputEndHeld, waiting.isEmpty { endInput(context: context) }
  }

  func channelReadComplete(context: ChannelHandlerContext) {
    finishRead()
  }

  /// Ends a read cycle; also for requests that arrive outside one.
  func finishRead() {
    flushIfNeeded()
    context?.fireChannelReadComplete()
  }

  func channelWritabilityChanged(context: ChannelHandlerContext) {
    if context.channel.isWritable, !waiting.isEmpty || gate.isHolding {
      patience.advanced(at: now)
      scheduleWaiting()
    }
    context.fireChannelWritabilityChanged()
  }

  // MARK: Writing

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
      for (name, value) in commonHeaders {
        // A route's response may vary by more than its origin.
        if name == "Vary" { head.headers.add(name: name, value: value) } else { head.headers.replaceOrAdd(name: name, value: value) }
      }
      if head.headers.contains(name: "connection"), !head.isKeepAlive { machine.endAfterAnswer() }
      if let connection = connectionHeader() { head.headers.replaceOrAdd(name: "connection", value: connection) }
      request.access?.status = Int(head.status.code)
      request.access?.requestID = head.headers.first(name: RequestID.headerName)
      context.write(Self.wrapOutboundOut(.head(head)), promise: promise)
    case .body(let body):
      request.access?.bytes += body.readableBytes
      context.write(data, promise: promise)
    case .end:
      context.write(data, promise: promise)
      patience.advanced(at: now)
      logAccess(isComplete: true)
      follow(machine.answerEnd(), context: context)
    default:
      context.write(data, promise: promise)
    }
  }

  // MARK: Ending

  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    switch event {
    case is ChannelShouldQuiesceEvent:
      stopServer(context: context)
    case let event as ChannelEvent where event == .inputClosed:
      isInputClosed = true
      // Complete requests that wait are answered first.
      if waiting.isEmpty { endInput(context: context) } else { isInputEndHeld = true }
    default:
      context.fireUserInboundEventTriggered(event)
    }
  }

  /// Handles the end of the peer's output once no request waits.
  private func endInput(context: ChannelHandlerContext) {
    isInputEndHeld = false
    stop(context: context)
    context.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
  }

  private func stop(context: ChannelHandlerContext) {
    switch machine.stop() {
    // Responses may still wait to be written.
    case .closeNow: linger(context: context)
    case .closeIfFlushed: if isOutputClosed { context.close(promise: nil) }
    case .afterAnswer, .ignore: break
    }
  }

  /// The server stops: the last response is the one in progress, or that of a request that is already on its way.
  private func stopServer(context: ChannelHandlerContext) {
    guard machine.takesRequest else { return stop(context: context) }
    machine.endAfterAnswer()
    let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
    context.eventLoop.scheduleTask(in: shared.limits.stopGrace) {
      if let context = bound.value.context, bound.value.machine.takesRequest { context.close(promise: nil) }
    }
  }

  /// Ends the output and lets the peer read it: closing a socket with unread input would reset the connection.
  func linger(context: ChannelHandlerContext) {
    waiting = []
    needsFlush = false
    context.flush()
    let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
    let channel = context.channel
    let closed = context.eventLoop.makePromise(of: Void.self)
    closed.futureResult.whenComplete { _ in bound.value.outputClosed() }
    context.close(mode: .output, promise: closed)
    context.eventLoop.scheduleTask(in: shared.limits.idleTimeout) { channel.close(promise: nil) }
    // The gate's bytes are read and dropped.
    scheduleWaiting()
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

  func becameWebSocket() {
    negotiation.succeed(.webSocket)
  }
}
