import Logging
import NIOCore
import NIOHTTP1
import NIOWebSocket
import ParallaxAPI

/// How the front answers a request itself.
enum OwnAnswer {
  case probe(Probe)
  case handshake
  case refuse(Refusal)
  /// Refused before its body is read; the connection ends.
  case refuseUnread(Refusal)
}

/// What all connections of a server share.
final class FrontContext: Sendable {
  let limits: ConnectionLimits
  let access: AccessGuard
  let probes: ProbeResponder
  let gateway: any AgentGateway
  let connections: ServerConnections
  let logger: Logger
  let date = DateHeader()
  /// Only asked for the response's headers: the pipeline is changed by ``FrontHandler``, on any request of a connection.
  let upgrader = NIOWebSocketServerUpgrader(
    shouldUpgrade: { channel, _ in channel.eventLoop.makeSucceededFuture(HTTPHeaders()) },
    upgradePipelineHandler: { channel, _ in channel.eventLoop.makeSucceededVoidFuture() })

  init(
    limits: ConnectionLimits, access: AccessGuard, probes: @escaping ProbeResponder, gateway: any AgentGateway,
    connections: ServerConnections, logger: Logger
  ) {
    self.limits = limits
    self.access = access
    self.probes = probes
    self.gateway = gateway
    self.connections = connections
    self.logger = logger
  }

  /// What the front answers itself; nil leaves the request to the router.
  func ownAnswer(to head: HTTPRequestHead) -> OwnAnswer? {
    if head.uri.utf8.count > limits.uriSize {
      return .refuseUnread(Refusal(.validation, "the request target is longer than \(limits.uriSize) bytes", status: 414))
    }
    if let length = head.contentLength, length > limits.requestBody {
      return .refuseUnread(.bodyTooLarge(limit: limits.requestBody))
    }
    let path = head.path
    if let probe = Probe(path: path) {
      if head.method == .GET || head.method == .HEAD { return .probe(probe) }
      return .refuse(Refusal(.methodNotAllowed, "\(path) answers GET and HEAD", headers: [("Allow", "GET, HEAD")]))
    }
    let hosts = head.headers["host"]
    if hosts.count > 1 || (hosts.isEmpty && !head.isHTTP10) {
      return .refuse(Refusal(.validation, "expected one Host header, found \(hosts.count)"))
    }
    let denied = access.refusal(
      method: head.method.rawValue, path: path, host: hosts.first, origin: head.headers.first(name: "origin"))
    if let denied { return .refuse(Refusal(denied)) }
    return path == WebSocketHandshake.path ? .handshake : nil
  }
}

extension Refusal {
  static func bodyTooLarge(limit: Int) -> Refusal {
    Refusal(.payloadTooLarge, "the request body may have at most \(limit) bytes (limits.requestBody)")
  }

  /// What the parser found, in the terms of HTTP.
  init(malformed error: any Error) {
    switch error as? HTTPParserError {
    case .headerOverflow: self.init(.validation, "the request's headers or its target are too long", status: 431)
    case .invalidVersion: self.init(.validation, "only HTTP/1.0 and HTTP/1.1 are spoken here", status: 505)
    default: self.init(.validation, "the request is not valid HTTP: \(error)")
    }
  }
}
