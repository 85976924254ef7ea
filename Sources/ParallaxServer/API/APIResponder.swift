import HTTPTypes
import Hummingbird
import HummingbirdCore
import Logging
import NIOCore
import NIOHTTP1
import ParallaxAPI
import ParallaxConcurrency

/// Answers a request through the router, turns every error into the error document, and adds the request id.
struct APIResponder: Sendable {
  private let router: RouterResponder<APIRequestContext>
  private let bodyLimit: RequestBodyLimit
  private let clock: MonotonicClock
  private let logger: Logger

  init(routes: APIRoutes, clock: MonotonicClock, logger: Logger) {
    router = routes.makeRouter().buildResponder()
    bodyLimit = routes.bodyLimit
    self.clock = clock
    self.logger = logger
  }

  func respond(to request: Request, from caller: Caller, peer: String?, with writer: consuming ResponseWriter) async throws {
    let requestID = RequestID.make(from: request.headers[.requestID])
    var logger = logger
    logger[metadataKey: "requestId"] = "\(requestID)"
    let began = clock.now
    var response = await answer(request, from: caller, peer: peer, requestID: requestID, logger: logger)
    // The response to HEAD carries the length of an error document, without the document.
    if request.method == .head { response = response.createHeadResponse() }
    response.headers[.requestID] = requestID
    logger.debug(
      "request",
      metadata: [
        "method": "\(request.method)", "path": "\(request.uri.path)", "status": "\(response.status.code)",
        "duration": "\(began.duration(to: clock.now))",
      ])
    try await writer.write(response: response.head, body: response.body)
  }

  private func answer(
    _ request: Request, from caller: Caller, peer: String?, requestID: String, logger: Logger
  ) async -> Response {
    do {
      return try await router.respond(to: request, context: APIRequestContext(caller: caller, peer: peer, logger: logger))
    } catch {
      let refusal = refusal(for: error, logger: logger)
      var response = Response.json(refusal.body(requestID: requestID), status: HTTPResponse.Status(code: refusal.status))
      for header in refusal.headers {
        if let name = HTTPField.Name(header.name) { response.headers[name] = header.value }
      }
      return response
    }
  }

  private func refusal(for error: any Error, logger: Logger) -> HTTPErrorResponse {
    switch error {
    case let refusal as HTTPErrorResponse: return refusal
    case let error as APIError: return HTTPErrorResponse(error)
    case is RequestTimedOut, is HTTPParserError: return HTTPErrorResponse(malformed: error)
    case is RequestBodyTooLarge: return .bodyTooLarge(limit: bodyLimit.value)
    case is CancellationError:
      return HTTPErrorResponse(.notReady, "the node is shutting down; ask another one", headers: [("Connection", "close")])
    default:
      logger.error("a request failed", metadata: ["error": "\(error)"])
      return HTTPErrorResponse(.internal, "the request failed inside the node; the node's log has the reason under this requestId")
    }
  }
}

/// The context that the router hands to a route, with the caller and the logger of the request.
struct APIRequestContext: RequestContext {
  var coreContext: CoreRequestContextStorage
  let caller: Caller
  /// The client's address without the port: as trusted proxies tell it, else the peer's; nil if that has none.
  let address: String?

  struct Source: RequestContextSource {
    let caller: Caller
    let peer: String?
    let logger: Logger
  }

  init(source: Source) {
    coreContext = CoreRequestContextStorage(source: source)
    caller = source.caller
    address = source.caller.forwardedAddress ?? source.peer
  }

  init(caller: Caller, peer: String?, logger: Logger) {
    self.init(source: Source(caller: caller, peer: peer, logger: logger))
  }
}

/// Answers requests for unknown paths with the API's error document.
struct UnknownPathMiddleware: RouterMiddleware {
  func handle(
    _ request: Request, context: APIRequestContext, next: (Request, APIRequestContext) async throws -> Response
  ) async throws -> Response {
    do {
      return try await next(request, context)
    } catch let error as HTTPError where error.status == .notFound {
      throw HTTPErrorResponse(.notFound, "no resource at \(request.uri.path); GET / lists what there is")
    }
  }
}

extension HTTPField.Name {
  static let requestID: HTTPField.Name = {
    guard let name = HTTPField.Name(RequestID.headerName) else { preconditionFailure("\(RequestID.headerName) is no header name") }
    return name
  }()
}

extension Response {
  /// A JSON document that has been encoded.
  static func json(_ body: ByteBuffer, status: HTTPResponse.Status = .ok) -> Response {
    Response(
      status: status, headers: [.contentType: "application/json", .contentLength: String(body.readableBytes)],
      body: ResponseBody(byteBuffer: body))
  }

  /// Encodes a document.
  static func json(_ document: some Encodable, status: HTTPResponse.Status = .ok) throws -> Response {
    json(try encoded(document), status: status)
  }

  /// Writes a document; the compiler prefers this overload for the documents that write themselves.
  static func json(_ document: some Encodable & JSONWritable, status: HTTPResponse.Status = .ok) throws -> Response {
    json(try encoded(document), status: status)
  }

  static func encoded(_ document: some Encodable) throws -> ByteBuffer { ByteBuffer(bytes: try JSON.encode(document)) }

  static func encoded(_ document: some Encodable & JSONWritable) throws -> ByteBuffer { ByteBuffer(bytes: try document.jsonBytes) }
}
