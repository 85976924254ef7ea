import Logging
import NIOCore
import NIOHTTP1
import NIOWebSocket
import ParallaxAPI
import Synchronization

/// An answer of the front handler.
enum OwnAnswer {
  case probe(Probe)
  case handshake(Grant)
  /// A CORS preflight of a page of this origin.
  case preflight(origin: String)
  case refuse(HTTPErrorResponse)
  /// Refused before the body is read; the connection ends.
  case refuseUnread(HTTPErrorResponse)
}

/// The decision about a request at its head.
enum Disposition {
  /// The front handler answers.
  case own(OwnAnswer)
  /// The router answers the caller.
  case route(Caller)
}

extension Disposition {
  /// The refusal of a request beyond its caller's limit, else the same decision.
  func limited(by standing: RateLimiter.Standing?) -> Disposition {
    guard let standing, standing.isExceeded else { return self }
    // What must not be read stays unread.
    if case .own(.refuseUnread) = self { return .own(.refuseUnread(standing.refusal)) }
    return .own(.refuse(standing.refusal))
  }
}

/// The state that all connections of a server share.
final class FrontContext: Sendable {
  let limits: ConnectionLimits
  /// TLS of all connections; nil without.
  let tls: ServerTLS?
  /// `limits.requestBody`, in bytes.
  let bodyLimit: RequestBodyLimit
  let probes: ProbeResponder
  let gateway: any AgentGateway
  let connections: ServerConnections
  /// The node is about to stop, so every response announces the end of its connection.
  let isLeaving: @Sendable () -> Bool
  let logger: Logger
  let date = DateHeader()
  let openConnections = Atomic<Int>(0)
  private let lastLimitReport = Mutex<NIODeadline?>(nil)
  private let currentPolicy: Mutex<ServerPolicy>
  /// Provides the response's headers only: ``FrontHandler`` changes the pipeline, on any request of a connection.
  let upgrader = NIOWebSocketServerUpgrader(
    shouldUpgrade: { channel, _ in channel.eventLoop.makeSucceededFuture(HTTPHeaders()) },
    upgradePipelineHandler: { channel, _ in channel.eventLoop.makeSucceededVoidFuture() })

  init(
    limits: ConnectionLimits, access: AccessGuard, tls: ServerTLS? = nil, limiter: SharedRateLimiter? = nil,
    accessLog: AccessLog = AccessLog(), bodyLimit: RequestBodyLimit? = nil, probes: @escaping ProbeResponder, gateway: any AgentGateway,
    connections: ServerConnections, isLeaving: @escaping @Sendable () -> Bool = { false }, logger: Logger
  ) {
    self.limits = limits
    currentPolicy = Mutex(ServerPolicy(access: access, limiter: limiter, accessLog: accessLog))
    self.tls = tls
    self.bodyLimit = bodyLimit ?? RequestBodyLimit(limits.requestBody)
    self.probes = probes
    self.gateway = gateway
    self.connections = connections
    self.isLeaving = isLeaving
    self.logger = logger
  }

  /// The rules in force.
  var policy: ServerPolicy {
    get { currentPolicy.withLock { $0 } }
    set { currentPolicy.withLock { $0 = newValue } }
  }

  /// Logs that the connection limit is reached, at most once a minute.
  func reportConnectionLimit() {
    let now = NIODeadline.now()
    let isDue = lastLimitReport.withLock { last in
      guard last.map({ now - $0 > .minutes(1) }) ?? true else { return false }
      last = now
      return true
    }
    guard isDue else { return }
    logger.warning(
      "refusing connections: the limit is reached; raise server.maxConnections if the node can serve more",
      metadata: ["maxConnections": "\(limits.connections)"])
  }

  /// The methods that the router knows; the server does not implement others.
  private static let knownMethods: [HTTPMethod] = [.GET, .HEAD, .POST, .PUT, .DELETE, .PATCH, .OPTIONS, .TRACE]

  /// Decides who answers a request, and who has sent it.
  ///
  /// Normalizes the target and the host of the head.
  func disposition(of head: inout HTTPRequestHead, from peer: SocketAddress?, certificate: Principal?, isBeyondLimit: Bool) -> Disposition {
    if let response = unreadable(head) { return .own(.refuseUnread(response)) }
    var host: Authority?
    do throws(RequestTarget.Fault) {
      host = try RequestTarget.normalize(&head)
    } catch {
      return .own(.refuse(HTTPErrorResponse(.validation, error.message)))
    }
    let access = policy.access
    let path = head.path
    let probe = Probe(path: path)
    if isBeyondLimit, probe == nil {
      return .own(
        .refuseUnread(
          HTTPErrorResponse(.notReady, "the node is at its limit of \(limits.connections) connections (server.maxConnections)")))
    }
    let origin = head.headers.first(name: "origin")
    if head.method == .OPTIONS, head.headers.contains(name: "access-control-request-method"),
      let allowed = access.allowedOrigin(of: origin)
    {
      return .own(.preflight(origin: allowed))
    }
    if let probe { return .own(answer(to: probe, head, host: forwardedHost(head, from: peer) ?? host, certificate: certificate)) }
    let call = AccessGuard.Call(
      method: head.method.rawValue, path: path, host: forwardedHost(head, from: peer) ?? host, origin: origin,
      isFromBrowser: head.isFromBrowser)
    if let denied = access.refusal(call) { return .own(.refuse(HTTPErrorResponse(denied))) }
    do throws(HTTPErrorResponse) {
      let authorization = head.credentials(host: call.host)
      let principal = try access.principal(of: call, authorization: authorization, certificate: certificate)
      guard path == WebSocketHandshake.path else {
        return .route(Caller(principal: principal, forwardedAddress: forwardedAddress(of: head, from: peer)))
      }
      let scope = WebSocketHandshake.access.scope(protectStatus: access.protectStatus)
      if let denied = HTTPErrorResponse.refusal(of: principal, needing: scope) { return .own(.refuse(denied)) }
      return .own(.handshake(access.grant(to: principal, authorization: authorization)))
    } catch {
      return .own(.refuse(error))
    }
  }

  private func answer(to probe: Probe, _ head: HTTPRequestHead, host: Authority?, certificate: Principal?) -> OwnAnswer {
    let access = policy.access
    guard head.method == .GET || head.method == .HEAD else {
      return .refuse(HTTPErrorResponse(.methodNotAllowed, "\(head.path) answers GET and HEAD", headers: [("Allow", "GET, HEAD")]))
    }
    if let denied = access.refusal(of: probe, authorization: head.credentials(host: host), certificate: certificate) {
      return .refuse(denied)
    }
    return .probe(probe)
  }

  /// Counts a request for its caller; nil without a limit, and for probes, preflights and agents' handshakes, which have none.
  func standing(of head: HTTPRequestHead, _ disposition: Disposition, from peer: SocketAddress?) -> RateLimiter.Standing? {
    guard let limiter = policy.limiter else { return nil }
    switch disposition {
    case .own(.probe), .own(.preflight), .own(.handshake): return nil
    case .own(.refuse), .own(.refuseUnread): return limiter.count(.address(address(of: head, from: peer)))
    case .route(let caller):
      switch caller.principal.identity {
      case .key, .certificate, .token: return limiter.count(.principal(caller.principal.identity))
      case .everyone, .anonymous: return limiter.count(.address(address(of: head, from: peer)))
      }
    }
  }

  /// The address of a client: the peer's, or the one that trusted proxies tell.
  func address(of head: HTTPRequestHead, from peer: SocketAddress?) -> String {
    forwardedAddress(of: head, from: peer) ?? peer?.ipAddress ?? ""
  }

  /// The last address in `X-Forwarded-For` that is no trusted proxy's; nil if the peer is none, or if the header does not tell it.
  private func forwardedAddress(of head: HTTPRequestHead, from peer: SocketAddress?) -> String? {
    let proxies = policy.access.trustedProxies
    func isTrusted(_ address: String) -> Bool { proxies.contains { $0.contains(address) } }
    guard !proxies.isEmpty, let address = peer?.ipAddress, isTrusted(address) else { return nil }
    let forwarded = head.headers[canonicalForm: "x-forwarded-for"].lazy.map { Self.ipAddress($0) }
    // What cannot be read as an address ends the list of those that trusted proxies have told.
    return forwarded.last { $0.map { !isTrusted($0) } ?? true } ?? nil
  }

  /// The canonical form of an address in `X-Forwarded-For`, which may have a port; nil if it is none.
  private static func ipAddress(_ text: Substring) -> String? {
    var text = text
    if text.first == "[" {
      text = text.dropFirst().prefix { $0 != "]" }
    } else if text.count(where: { $0 == ":" }) == 1 {
      text = text.prefix { $0 != ":" }
    }
    return (try? SocketAddress(ipAddress: String(text), port: 0))?.ipAddress
  }

  /// The reason to stop reading the request, or nil.
  private func unreadable(_ head: HTTPRequestHead) -> HTTPErrorResponse? {
    if head.uri.utf8.count > limits.uriSize {
      return HTTPErrorResponse(.validation, "the request target is longer than \(limits.uriSize) bytes", status: 414)
    }
    guard Self.knownMethods.contains(head.method) else {
      return HTTPErrorResponse(.methodNotAllowed, "no path supports \(head.method.rawValue)", status: 501)
    }
    let codings = head.headers[canonicalForm: "transfer-encoding"]
    if !codings.isEmpty, codings.count != 1 || codings[0].lowercased() != "chunked" {
      return HTTPErrorResponse(.validation, "the only supported transfer coding is chunked", status: 501)
    }
    if !codings.isEmpty, head.isHTTP10 {
      return HTTPErrorResponse(.validation, "HTTP/1.0 has no transfer codings")
    }
    if let length = head.contentLength, length > bodyLimit.value { return .bodyTooLarge(limit: bodyLimit.value) }
    if !head.isHTTP10, let expectation = head.headers.first(name: "expect"), expectation.lowercased() != "100-continue" {
      return HTTPErrorResponse(.validation, "the only supported expectation is 100-continue", status: 417)
    }
    return nil
  }

  /// The host that the client addressed, as a trusted proxy forwards it.
  private func forwardedHost(_ head: HTTPRequestHead, from peer: SocketAddress?) -> Authority? {
    let proxies = policy.access.trustedProxies
    guard !proxies.isEmpty, let address = peer?.ipAddress, proxies.contains(where: { $0.contains(address) }),
      let forwarded = head.headers[canonicalForm: "x-forwarded-host"].first
    else { return nil }
    return Authority(forwarded)
  }
}

extension HTTPErrorResponse {
  static func bodyTooLarge(limit: Int) -> HTTPErrorResponse {
    HTTPErrorResponse(.payloadTooLarge, "the request body is longer than \(limit) bytes (limits.requestBody)")
  }

  /// Translates the end of a request that has not arrived completely: its time-out, or the parser's error; `bytes` are those that the
  /// parser read last.
  init(malformed error: any Error, in bytes: ByteBuffer? = nil) {
    if error is RequestTimedOut {
      self.init(.timeout, "the request did not arrive completely in time; send it again, faster")
      return
    }
    switch error as? HTTPParserError {
    case .headerOverflow: self.init(.validation, "the request's headers or target are too long", status: 431)
    case .invalidVersion: self.init(.validation, "the server supports HTTP/1.0 and HTTP/1.1 only", status: 505)
    case .invalidMethod where Self.hasRequestLine(bytes):
      self.init(.methodNotAllowed, "no path supports the request's method", status: 501)
    default: self.init(.validation, "the request is not valid HTTP: \(error)")
    }
  }

  /// Whether the bytes have a request line: then the parser does not know its method, else the bytes are not HTTP.
  private static func hasRequestLine(_ bytes: ByteBuffer?) -> Bool {
    guard let bytes else { return false }
    return String(buffer: bytes).split(whereSeparator: \.isNewline).contains { line in
      let words = line.split(separator: " ", omittingEmptySubsequences: false)
      guard words.count == 3, words[2].hasPrefix("HTTP/1."), !words[0].isEmpty, !words[1].isEmpty else { return false }
      // A line with a known method belongs to an earlier request.
      guard case .RAW = HTTPMethod(rawValue: String(words[0])) else { return false }
      return words[0].allSatisfy { $0.isASCII && ($0.isLetter || $0 == "-") }
    }
  }
}
