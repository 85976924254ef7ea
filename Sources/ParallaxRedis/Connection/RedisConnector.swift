import Logging
import NIOCore
import NIOPosix
import NIOSSL
import ParallaxConcurrency

/// Opens connections: TCP or Unix socket, TLS, login.
struct RedisConnector: Sendable {
  var configuration: RedisConfiguration
  let eventLoop: any EventLoop
  let executor: RedisEventLoopExecutor
  let metrics: RedisMetrics
  /// The clock of pauses and of repeated work; the event loop measures deadlines.
  let clock: MonotonicClock
  /// Reports new shared connections.
  var newConnections: Broadcast<MonotonicClock.Instant>
  let logger: Logger
  /// The role of all connections in the metrics; `nil` uses the role of each connection.
  var role: RedisMetrics.Role?

  /// Opens a connection that is ready for commands, within the connect time-out.
  ///
  /// Cancelling the task aborts the attempt at once, except during the resolution of the host name.
  ///
  /// - Parameters:
  ///   - endpoint: The address of the server.
  ///   - role: The role of the connection.
  ///   - mustBeMaster: Whether to refuse a server that is not a master; `false` by default.
  ///   - scripts: The scripts to load first; none by default.
  ///   - onPush: Receives the server's pushes; only for a subscription connection.
  /// - Returns: The connection.
  /// - Throws: The reason that there is none.
  func connect(
    to endpoint: RedisConfiguration.Endpoint, role: RedisMetrics.Role, mustBeMaster: Bool = false, scripts: [RedisScript] = [],
    onPush: RedisChannelHandler.PushHandler? = nil
  ) async throws(RedisError) -> RedisConnection {
    let deadline = eventLoop.now + TimeAmount(clamping: configuration.connectTimeout)
    let connection: RedisConnection
    do {
      connection = try await open(endpoint, onPush: onPush)
    } catch {
      throw error as? RedisError
        ?? RedisError(
          .connectionFailed, message: "Cannot connect to \(endpoint) (\(Self.reason(error))): check the address and that Redis runs there.")
    }
    do throws(RedisError) {
      try await shakeHands(
        connection, mustBeMaster: mustBeMaster, checksRequirements: role == .commands, scripts: scripts, deadline: deadline)
    } catch {
      connection.fail(error)
      throw error
    }
    let role = self.role ?? role
    metrics.opened(role)
    connection.whenClosed { [metrics] in metrics.closed(role) }
    return connection
  }

  private func open(
    _ endpoint: RedisConfiguration.Endpoint, onPush: RedisChannelHandler.PushHandler?
  ) async throws -> RedisConnection {
    let bootstrap = ClientBootstrap(group: eventLoop)
      .connectTimeout(TimeAmount(clamping: configuration.connectTimeout))
      .channelOption(.socketOption(.so_keepalive), value: 1)
    let tls = try configuration.tls.map { try Self.context($0) }
    let pendingSockets = PendingSockets()
    let initialize: @Sendable (any Channel) -> EventLoopFuture<RedisConnection> = { channel in
      guard pendingSockets.add(channel) else { return channel.eventLoop.makeFailedFuture(CancellationError()) }
      return self.initialize(channel, to: endpoint, tls: tls, onPush: onPush)
    }
    return try await withTaskCancellationHandler {
      switch endpoint {
      case .host(let host, let port):
        try await bootstrap.channelOption(.tcpOption(.tcp_nodelay), value: 1)
          .connect(host: host, port: port, channelInitializer: initialize)
      case .unixSocket(let path): try await bootstrap.connect(unixDomainSocketPath: path, channelInitializer: initialize)
      }
    } onCancel: {
      pendingSockets.cancel()
    }
  }

  private func initialize(
    _ channel: any Channel, to endpoint: RedisConfiguration.Endpoint, tls: NIOSSLContext?, onPush: RedisChannelHandler.PushHandler?
  ) -> EventLoopFuture<RedisConnection> {
    var serverName: String?
    if case .host(let host, _) = endpoint { serverName = host }
    return channel.eventLoop.makeCompletedFuture { [serverName] in
      if let tls {
        let isAddress = serverName.map { (try? SocketAddress(ipAddress: $0, port: 0)) != nil } ?? false
        try channel.pipeline.syncOperations.addHandler(NIOSSLClientHandler(context: tls, serverHostname: isAddress ? nil : serverName))
        try channel.pipeline.syncOperations.addHandler(TLSFaultHandler(host: serverName ?? "\(endpoint)"))
      }
      let inbox = ConnectionInbox(
        maximumCommands: configuration.maximumCommandsInFlight, maximumBytes: configuration.maximumBytesInFlight, now: eventLoop.now)
      let closed = channel.eventLoop.makePromise(of: RedisError.self)
      let handler = RedisChannelHandler(
        settings: .init(
          limits: RESPLimits(stringLength: configuration.maximumStringLength, replyLength: configuration.maximumReplyLength),
          stallTimeout: TimeAmount(clamping: configuration.commandTimeout),
          keepAliveInterval: TimeAmount(clamping: configuration.keepAliveInterval), onPush: onPush),
        inbox: inbox, metrics: metrics, executor: executor, eventLoop: channel.eventLoop, closed: closed)
      try channel.pipeline.syncOperations.addHandler(handler)
      return RedisConnection(
        to: endpoint, handler: NIOLoopBound(handler, eventLoop: channel.eventLoop), inbox: inbox, closed: closed.futureResult)
    }
  }

  private func shakeHands(
    _ connection: RedisConnection, mustBeMaster: Bool, checksRequirements: Bool, scripts: [RedisScript], deadline: NIODeadline
  ) async throws(RedisError) {
    let endpoint = connection.endpoint
    let server = "The \(role == .sentinel ? "sentinel" : "server") \(endpoint)"
    var handshake = Handshake(configuration: try currentConfiguration(), server: server, mustBeMaster: mustBeMaster)
    var action = handshake.start()
    while true {
      switch action {
      case .done(let version):
        logger.debug("Connected to Redis", metadata: ["redis.endpoint": "\(endpoint)", "redis.protocol": "\(version)"])
        if checksRequirements, let requirements = configuration.requirements {
          try await check(requirements, identity: handshake.identity, server: server, on: connection, deadline: deadline)
        }
        return try await load(scripts, on: connection, deadline: deadline)
      case .fail(let error): throw error
      case .send(let command):
        switch await connection.execute(command, timeout: deadline - eventLoop.now) {
        case .reply(let reply): action = handshake.received(reply)
        case .failed(let failure): throw error(failure, command: command.name, endpoint: endpoint)
        }
      }
    }
  }

  /// The configuration with the current user and password.
  private func currentConfiguration() throws(RedisError) -> RedisConfiguration {
    guard let credentials = configuration.credentials else { return configuration }
    var configuration = configuration
    do {
      let current = try credentials()
      configuration.username = current.username
      configuration.password = current.password
    } catch {
      throw RedisError(.authenticationFailed, message: "The user and the password cannot be obtained (\(error)).", cause: error)
    }
    return configuration
  }

  /// Refuses a server that does not meet the program's requirements.
  private func check(
    _ requirements: RedisServerRequirements, identity: RedisServerIdentity?, server: String, on connection: RedisConnection,
    deadline: NIODeadline
  ) async throws(RedisError) {
    if let refusal = requirements.refusal(of: identity, server: server) { throw refusal }
    if requirements.probes.isEmpty { return }
    let outcome = await connection.execute(requirements.probes.map(\.command), timeout: deadline - eventLoop.now)
    if let failure = outcome.failure { throw error(failure, command: "the check of rights", endpoint: connection.endpoint) }
    if let refusal = requirements.refusal(of: outcome.replies, server: server) { throw refusal }
  }

  /// Loads all scripts in one write.
  ///
  /// A script that is refused, or not loaded in time, is sent with its first use.
  private func load(_ scripts: [RedisScript], on connection: RedisConnection, deadline: NIODeadline) async throws(RedisError) {
    if scripts.isEmpty { return }
    let commands = scripts.map { RedisCommand("SCRIPT", "LOAD", $0.source) }
    switch await connection.execute(commands, timeout: deadline - eventLoop.now).failure {
    case nil, .timedOut, .overloaded: break
    case let failure?: throw error(failure, command: "SCRIPT", endpoint: connection.endpoint)
    }
  }

  private func error(_ failure: CommandFailure, command: String, endpoint: RedisConfiguration.Endpoint) -> RedisError {
    let hint =
      configuration.tls == nil
      ? "If the port expects TLS, configure TLS; if there is a proxy in front of Redis, connect to Redis itself."
      : "Check that the port expects TLS, and whether the server requires client certificates."
    switch failure {
    case .notSent(let reason), .unreachable(let reason), .lost(let reason):
      if reason.code == .protocolViolation { return reason }
      if let fault = reason.cause as? TLSFault {
        return RedisError(.connectionFailed, command: command, message: "TLS with \(endpoint) failed: \(fault).")
      }
      return RedisError(
        .connectionFailed, command: command,
        message: "The connection to \(endpoint) was lost during login: \(reason.message)\(reason.serverMessage == nil ? " \(hint)" : "")",
        serverMessage: reason.serverMessage, cause: reason.cause)
    case .timedOut, .cancelled, .overloaded:
      return RedisError(
        .connectionFailed, command: command,
        message: "Redis at \(endpoint) accepts connections but did not answer in time. \(hint)")
    }
  }

  private static func context(_ tls: TLSConfiguration) throws(RedisError) -> NIOSSLContext {
    do {
      return try NIOSSLContext(configuration: tls)
    } catch {
      throw RedisError(
        .invalidConfiguration,
        message:
          "The TLS settings cannot be used (\(error)): check that the files of authorities, certificate and key are there and are PEM.")
    }
  }

  /// The reason in few words: SwiftNIO's error lists each address that was tried.
  private static func reason(_ error: any Error) -> String {
    guard let error = error as? NIOConnectionError else { return "\(error)" }
    if let tried = error.connectionErrors.first { return "\(tried.error)" }
    if let lookup = error.dnsAError ?? error.dnsAAAAError { return "\(lookup)" }
    return "no address found"
  }
}

extension TimeAmount {
  /// A duration as an amount of time, limited to the range from zero to a hundred years.
  init(clamping duration: Duration) {
    self = .nanoseconds(max(.zero, min(duration, .seconds(3_153_600_000))).nanoseconds)
  }
}

extension Duration {
  /// The whole nanoseconds of a duration that fits into 64 bits.
  var nanoseconds: Int64 {
    components.seconds * 1_000_000_000 + components.attoseconds / 1_000_000_000
  }
}
