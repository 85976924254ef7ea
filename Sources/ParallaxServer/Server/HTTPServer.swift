import HummingbirdCore
package import Logging
package import NIOCore
import ParallaxAPI
import ServiceLifecycle
import Synchronization

/// The node's HTTP server: the API, the probes, and the agents' WebSockets on one port.
///
/// On graceful shutdown it stops accepting at once, lets requests in progress finish, and leaves it to the control plane to send its agents
/// away; `run()` returns when the last connection has gone. What is left `closeTimeout` after that is closed, agents with 1001.
package struct HTTPServer: Service {
  package struct Configuration: Sendable {
    /// The address to listen on; a name or an IP address.
    package var host: String
    /// 0 takes any free port.
    package var port: Int
    package var limits: ConnectionLimits
    /// `security.allowUnauthenticated`: open to everybody who can connect.
    package var allowUnauthenticated: Bool
    /// `server.allowedOrigins`: the web pages that may use the node, or `*` for all.
    package var allowedOrigins: Set<String>
    /// Names under which clients may call the node, such as that of `node.address`.
    package var knownHosts: Set<String>
    /// `server.trustedProxies`: peers whose `X-Forwarded-Host` counts.
    package var trustedProxies: [IPNetwork]
    /// How long connections may take to end when the node has finished its part of a stop.
    package var closeTimeout: Duration

    package init(
      host: String = "127.0.0.1", port: Int = 8080, limits: ConnectionLimits = ConnectionLimits(), allowUnauthenticated: Bool = false,
      allowedOrigins: Set<String> = [], knownHosts: Set<String> = [], trustedProxies: [IPNetwork] = [],
      closeTimeout: Duration = .seconds(2)
    ) {
      self.host = host
      self.port = port
      self.limits = limits
      self.allowUnauthenticated = allowUnauthenticated
      self.allowedOrigins = allowedOrigins
      self.knownHosts = knownHosts
      self.trustedProxies = trustedProxies
      self.closeTimeout = closeTimeout
    }
  }

  /// What the composition root wants to know of the server's life.
  package struct Hooks: Sendable {
    /// The server listens; given the address with the port that was bound.
    package var onBound: @Sendable (SocketAddress) async -> Void
    /// No new connection is accepted any more: agents can be told to go.
    ///
    /// `closeTimeout` begins when this returns.
    package var onStopAccepting: @Sendable () async -> Void
    /// Whether the node is about to stop, so that every answer has to say `Connection: close`; called on event loops, so it must not block.
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
  private let group: any EventLoopGroup
  private let hooks: Hooks
  private let logger: Logger
  private let connections: ServerConnections
  private let front: FrontContext
  private let responder: APIResponder

  /// Prepares a server; `run()` makes it listen.
  ///
  /// `controlPlane` answers the API, `gateway` takes the agents' connections, `probes` answers `/health*` and `/metrics` on event loops.
  /// The event loops of `group` are the caller's to shut down.
  package init(
    configuration: Configuration, controlPlane: any ControlPlaneService, gateway: any AgentGateway, probes: @escaping ProbeResponder,
    group: any EventLoopGroup, hooks: Hooks = Hooks(), logger: Logger
  ) {
    self.configuration = configuration
    self.group = group
    self.hooks = hooks
    self.logger = logger
    connections = ServerConnections(group: group)
    let access = AccessGuard(
      isLoopback: AccessGuard.isLoopbackName(configuration.host.lowercased()), allowUnauthenticated: configuration.allowUnauthenticated,
      allowedOrigins: configuration.allowedOrigins, knownHosts: configuration.knownHosts, trustedProxies: configuration.trustedProxies)
    front = FrontContext(
      limits: configuration.limits, access: access, probes: probes, gateway: gateway, connections: connections, isLeaving: hooks.isLeaving,
      logger: logger)
    responder = APIResponder(routes: APIRoutes(service: controlPlane, bodyLimit: configuration.limits.requestBody), logger: logger)
  }

  package func run() async throws {
    let listener = Listener()
    let server = try makeServer(listener)
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask {
        do {
          try await server.run()
        } catch {
          throw HTTPServerError(
            code: .bindFailed,
            message:
              "cannot listen on \(configuration.host):\(configuration.port); is another node running? Set server.host and server.port",
            cause: error)
        }
        await connections.waitUntilEmpty()
      }
      group.addTask {
        do {
          try await gracefulShutdown()
          await listener.waitUntilClosed()
          await hooks.onStopAccepting()
          try await Task.sleep(for: configuration.closeTimeout)
          logger.warning("closing the connections that have not ended", metadata: ["waited": "\(configuration.closeTimeout)"])
        } catch {
          // Cancelled: nothing is left, or nothing is to be waited for.
        }
        connections.closeAll(code: .goingAway, reason: "the node is shutting down")
      }
      defer { group.cancelAll() }
      try await group.next()
      group.cancelAll()
      try await group.waitForAll()
    }
  }

  private func makeServer(_ listener: Listener) throws -> any Service {
    // Hummingbird says on info what the composition root says in its own words.
    var serverLogger = logger
    serverLogger.logLevel = max(logger.logLevel, .warning)
    let builder = HTTPServerBuilder { [front] responder in FrontChannel(responder: responder, shared: front) }
    return try builder.buildServer(
      configuration: ServerConfiguration(address: .hostname(configuration.host, port: configuration.port), backlog: 1024),
      eventLoopGroup: group, logger: serverLogger,
      responder: { [responder] request, writer, _ in try await responder.respond(to: request, with: writer) },
      onServerRunning: { [hooks, logger] channel in
        listener.opened(channel)
        // Fails only if the listener has been closed already.
        try? await AcceptGuard.install(on: channel, logger: logger)
        if let address = channel.localAddress { await hooks.onBound(address) }
      })
  }
}

/// The listening channel, which closes some time after a graceful shutdown began.
private final class Listener: Sendable {
  private let channel = Mutex<(any Channel)?>(nil)

  func opened(_ channel: any Channel) {
    self.channel.withLock { $0 = channel }
  }

  func waitUntilClosed() async {
    // However it closed, nothing is accepted any more.
    try? await channel.withLock { $0 }?.closeFuture.get()
  }
}
