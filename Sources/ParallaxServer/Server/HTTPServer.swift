import HummingbirdCore
package import Logging
package import NIOCore
import ParallaxAPI
package import ParallaxConcurrency
import ServiceLifecycle

/// The node's HTTP server: the API, the probes, and the agents' WebSockets on one port.
///
/// On graceful shutdown the server stops accepting at once and lets requests in progress finish; the control plane disconnects the agents.
/// ``ServerListener/refuseConnections()`` before it lets no connection be lost that the system has made already.
/// `run()` returns when the last connection has ended. Connections that remain `closeTimeout` after ``Hooks/onStopAccepting`` has returned
/// are closed, agents with 1001.
package struct HTTPServer: Service {
  package struct Configuration: Sendable {
    /// The address to listen on; a name or an IP address.
    package var host: String
    /// 0 takes any free port.
    package var port: Int
    package var limits: ConnectionLimits
    /// `security.allowUnauthenticated`: every client that can connect may use the API.
    package var allowUnauthenticated: Bool
    /// `security.authentication.apiKeys`; none leave the node without access control.
    package var keys: KeyRing
    /// `security.authentication.jwt`; nil accepts no tokens.
    package var tokens: TokenVerifier?
    /// `security.protectStatus`: metrics and the cluster's status need the scope `read`.
    package var protectStatus: Bool
    /// `limits.requestsPerMinute` of one caller; nil sets no limit.
    package var requestsPerMinute: Int?
    /// `logging.accessLog` and `logging.accessSample`: the requests that are logged.
    package var accessLog: AccessLog
    /// `server.tls` and `security.mtls`; nil serves without TLS.
    package var tls: ServerTLS?
    /// `server.allowedOrigins`: the web pages that may use the node, or `*` for all.
    package var allowedOrigins: Set<String>
    /// Names under which clients may call the node, such as that of `node.address`.
    package var knownHosts: Set<String>
    /// `server.trustedProxies`: peers whose `X-Forwarded-Host` counts.
    package var trustedProxies: [IPNetwork]
    /// How long connections may take to end after ``Hooks/onStopAccepting`` has returned.
    package var closeTimeout: Duration

    package init(
      host: String = "127.0.0.1", port: Int = 8080, limits: ConnectionLimits = ConnectionLimits(), allowUnauthenticated: Bool = false,
      keys: KeyRing = KeyRing(), tokens: TokenVerifier? = nil, protectStatus: Bool = false, requestsPerMinute: Int? = nil,
      accessLog: AccessLog = AccessLog(), tls: ServerTLS? = nil, allowedOrigins: Set<String> = [], knownHosts: Set<String> = [],
      trustedProxies: [IPNetwork] = [],
      closeTimeout: Duration = .seconds(2)
    ) {
      self.host = host
      self.port = port
      self.limits = limits
      self.allowUnauthenticated = allowUnauthenticated
      self.keys = keys
      self.tokens = tokens
      self.protectStatus = protectStatus
      self.requestsPerMinute = requestsPerMinute
      self.accessLog = accessLog
      self.tls = tls
      self.allowedOrigins = allowedOrigins
      self.knownHosts = knownHosts
      self.trustedProxies = trustedProxies
      self.closeTimeout = closeTimeout
    }
  }

  /// Calls from the server to the composition root.
  package struct Hooks: Sendable {
    /// The server listens; the address has the bound port.
    package var onBound: @Sendable (SocketAddress) async -> Void
    /// The server accepts no further connections, so agents can be disconnected.
    ///
    /// `closeTimeout` begins when this call returns.
    package var onStopAccepting: @Sendable () async -> Void
    /// Whether the node is about to stop, so that every response has `Connection: close`; called on event loops, so it must not block.
    package var isLeaving: @Sendable () -> Bool

    package init(
      onBound: @escaping @Sendable (SocketAddress) async -> Void = { _ in },
      onStopAccepting: @escaping @Sendable () async -> Void = {}, isLeaving: @escaping @Sendable () -> Bool = { false }
    ) {
      self.onBound = onBound
      self.onStopAccepting = onStopAccepting
      self.isLeaving = isLeaving
    }
  }

  private let configuration: Configuration
  private let listener: ServerListener
  private let group: any EventLoopGroup
  private let hooks: Hooks
  private let clock: MonotonicClock
  private let logger: Logger
  private let connections: ServerConnections
  private let front: FrontContext
  private let responder: APIResponder

  /// Creates a server; `run()` makes it listen.
  ///
  /// `controlPlane` answers the API, `gateway` accepts the agents' connections, `probes` answers `/health*` and `/metrics` on event loops.
  /// `listener` becomes the listening socket.
  /// The caller shuts down the event loops of `group`. `clock` measures requests and the server's end; event loops measure the deadlines
  /// of connections.
  package init(
    configuration: Configuration, controlPlane: any ControlPlaneService, gateway: any AgentGateway, probes: @escaping ProbeResponder,
    listener: ServerListener, group: any EventLoopGroup, hooks: Hooks = Hooks(), clock: MonotonicClock, logger: Logger
  ) {
    self.configuration = configuration
    self.listener = listener
    self.group = group
    self.hooks = hooks
    self.clock = clock
    self.logger = logger
    connections = ServerConnections(group: group)
    let bodyLimit = RequestBodyLimit(configuration.limits.requestBody)
    let routes = APIRoutes(service: controlPlane, protectStatus: configuration.protectStatus, bodyLimit: bodyLimit)
    var access = configuration.access
    access.open(RouteDeclaration.all(routes))
    front = FrontContext(
      limits: configuration.limits, access: access, tls: configuration.tls,
      limiter: configuration.requestsPerMinute.map(SharedRateLimiter.init), accessLog: configuration.accessLog, bodyLimit: bodyLimit,
      probes: probes, gateway: gateway, connections: connections, isLeaving: hooks.isLeaving, logger: logger)
    responder = APIResponder(routes: routes, clock: clock, logger: logger)
  }

  /// Applies other rules to further requests, and closes the connections of agents that could not be opened by them, with 1008.
  ///
  /// The rules are keys, tokens, names, origins, proxies, limits of requests and their log; all else needs another server.
  package func update(_ configuration: Configuration) {
    front.bodyLimit.value = configuration.limits.requestBody
    let former = front.policy
    var access = configuration.access
    access.openRoutes = former.access.openRoutes
    access.protectStatus = former.access.protectStatus
    access.isLoopback = former.access.isLoopback
    access.knowsCertificates = former.access.knowsCertificates
    // An unchanged limit keeps what its callers have used.
    let isLimitKept = former.limiter?.requestsPerMinute == configuration.requestsPerMinute
    front.policy = ServerPolicy(
      access: access, limiter: isLimitKept ? former.limiter : configuration.requestsPerMinute.map(SharedRateLimiter.init),
      accessLog: configuration.accessLog)
    // A handshake that the former rules let pass is checked again when it is answered.
    connections.closeUnlessGranted(by: access)
  }

  package func run() async throws {
    let server = try makeServer()
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask {
        do {
          try await server.run()
        } catch {
          throw HTTPServerError.bindFailed(host: configuration.host, port: configuration.port, error)
        }
        await connections.waitUntilEmpty()
      }
      group.addTask {
        do {
          try await gracefulShutdown()
          await listener.waitUntilClosed()
          await hooks.onStopAccepting()
          try await clock.sleep(for: configuration.closeTimeout)
          logger.warning("closing the remaining connections", metadata: ["waited": "\(configuration.closeTimeout)"])
        } catch {
          // Cancelled: all connections have ended, or the server stops without waiting.
        }
        connections.closeAll(code: .goingAway, reason: "the node is shutting down")
      }
      defer { group.cancelAll() }
      try await group.next()
      group.cancelAll()
      try await group.waitForAll()
    }
  }

  private func makeServer() throws -> any Service {
    // The composition root logs the server's start and stop, so Hummingbird's own entries at info level are redundant.
    var serverLogger = logger
    serverLogger.logLevel = max(logger.logLevel, .warning)
    let builder = HTTPServerBuilder { [front, responder] general in FrontChannel(responder: general, api: responder, shared: front) }
    return try builder.buildServer(
      configuration: ServerConfiguration(address: .hostname(configuration.host, port: configuration.port), backlog: 1024),
      eventLoopGroup: group, logger: serverLogger,
      // Each connection has a responder of its own, which knows the principal of its requests.
      responder: { [responder] request, writer, _ in
        try await responder.respond(to: request, from: Caller(principal: .anonymous), peer: nil, with: writer)
      },
      onServerRunning: { [hooks, listener, logger] channel in
        listener.opened(channel)
        // Adding the handler fails only on a closed listener.
        try? await AcceptGuard.install(on: channel, logger: logger)
        if let address = channel.localAddress { await hooks.onBound(address) }
      })
  }
}

extension HTTPServer.Configuration {
  /// The rules of access; the caller opens the routes.
  fileprivate var access: AccessGuard {
    AccessGuard(
      isLoopback: AccessGuard.isLoopbackName(host.lowercased()), allowUnauthenticated: allowUnauthenticated, keys: keys,
      knowsCertificates: tls?.identities.isEmpty == false, tokens: tokens, protectStatus: protectStatus, allowedOrigins: allowedOrigins,
      knownHosts: knownHosts, trustedProxies: trustedProxies)
  }
}
