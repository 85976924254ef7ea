import Logging
import NIOCore
import NIOHTTP1

/// The front handler's own answers.
extension FrontHandler {
  /// Answers the request in `own`, which is complete or is not read further.
  func answerOwn(context: ChannelHandlerContext) {
    guard let (head, answer) = own.take() else { preconditionFailure("the front handler has no request to answer") }
    switch answer {
    case .probe(let probe):
      let accept = head.headers["accept"]
      let probed = shared.probes(probe, accept.isEmpty ? nil : accept.joined(separator: ", "))
      var response = RawResponse(status: probed.status, contentType: probed.contentType, body: probed.body)
      if let id = head.headers.first(name: RequestID.headerName) { response.headers = [(RequestID.headerName, RequestID.make(from: id))] }
      respond(with: response, isHead: head.method == .HEAD, context: context)
    case .preflight: respond(with: preflight(head), context: context)
    case .refuse(let response), .refuseUnread(let response): refuse(response, head: head, context: context)
    case .handshake(let grant): answerHandshake(head, grant, context: context)
    }
  }

  func refuse(_ refusal: HTTPErrorResponse, head: HTTPRequestHead, context: ChannelHandlerContext) {
    let requestID = RequestID.make(from: head.headers.first(name: RequestID.headerName))
    shared.logger.debug(
      "refused a request",
      metadata: ["method": "\(head.method)", "path": "\(head.path)", "status": "\(refusal.status)", "requestId": "\(requestID)"])
    var response = RawResponse(
      status: refusal.status, contentType: "application/json", body: refusal.body(requestID: requestID), headers: refusal.headers)
    response.headers.append((RequestID.headerName, requestID))
    respond(with: response, isHead: head.method == .HEAD, context: context)
  }

  /// The answer to a CORS preflight: the methods and headers that the API accepts on any path.
  private func preflight(_ head: HTTPRequestHead) -> RawResponse {
    var response = RawResponse(status: 204, contentType: nil, body: ByteBuffer())
    let wanted = head.headers[canonicalForm: "access-control-request-headers"].filter { !$0.isEmpty }
    response.headers = [
      ("Access-Control-Allow-Methods", "GET, HEAD, POST, PUT, DELETE, PATCH"),
      (
        "Access-Control-Allow-Headers",
        wanted.isEmpty ? "Authorization, Content-Type, \(RequestID.headerName)" : wanted.joined(separator: ", ")
      ),
      ("Access-Control-Max-Age", "600"),
    ]
    if head.headers.first(name: "access-control-request-private-network") == "true" {
      response.headers.append(("Access-Control-Allow-Private-Network", "true"))
    }
    return response
  }

  /// Logs the request in progress, at most once.
  func logAccess(isComplete: Bool) {
    guard let entry = request.access.take() else { return }
    entry.log(shared.policy.accessLog, isComplete: isComplete, at: now, to: shared.logger)
  }

  /// The headers of every response: those of the limit, and those of CORS for a page of an allowed origin.
  var commonHeaders: [(name: String, value: String)] {
    (request.standing?.headers ?? []) + originHeaders
  }

  private var originHeaders: [(name: String, value: String)] {
    guard let origin = request.allowedOrigin else { return [] }
    let allowed = [
      ("Access-Control-Allow-Origin", origin),
      ("Access-Control-Expose-Headers", "\(RequestID.headerName), ETag, Retry-After, Allow, WWW-Authenticate, RateLimit, RateLimit-Policy"),
    ]
    return origin == "*" ? allowed : allowed + [("Vary", "Origin")]
  }

  /// The `Connection` header of the response in progress; nil for none, which in HTTP/1.1 means that the connection stays open.
  func connectionHeader() -> String? {
    if shared.isLeaving() { machine.endAfterAnswer() }
    if !machine.keepsAlive { return "close" }
    return request.isHTTP10 ? "keep-alive" : nil
  }

  private func respond(with response: RawResponse, isHead: Bool = false, context: ChannelHandlerContext) {
    var response = response
    response.isHead = isHead
    response.headers += commonHeaders
    response.connection = connectionHeader()
    var buffer = context.channel.allocator.buffer(capacity: 256 + response.body.readableBytes)
    response.write(to: &buffer, date: shared.date.value())
    writeRaw(buffer)
    request.access?.status = response.status
    request.access?.requestID = response.headers.first { $0.name == RequestID.headerName }?.value
    if !response.isHead { request.access?.bytes = response.body.readableBytes }
    logAccess(isComplete: true)
    // A connection that ends parses nothing further, and its parser may be inside a request.
    if request.stopsParser, machine.keepsAlive { replaceDecoder(context: context) }
    follow(machine.answerEnd(), context: context)
  }

  func refuseMalformed(_ error: any Error, context: ChannelHandlerContext) {
    switch machine.malformed() {
    case .ignore: break
    case .linger: linger(context: context)
    case .notifyRouter: context.fireErrorCaught(error)
    case .answer:
      own = nil
      let refusal = HTTPErrorResponse(malformed: error, in: gate.lastPiece)
      let requestID = RequestID.make()
      // What has a head is known already.
      request.access =
        request.access
        ?? AccessLogEntry(nil, principal: nil, address: context.channel.remoteAddress?.ipAddress ?? "", began: patience.progress)
      shared.logger.debug("malformed HTTP", metadata: ["error": "\(error)", "requestId": "\(requestID)"])
      var response = RawResponse(status: refusal.status, contentType: "application/json", body: refusal.body(requestID: requestID))
      response.headers = [(RequestID.headerName, requestID)]
      respond(with: response, context: context)
    }
  }
}
