public import Logging
public import NIOCore
public import NIOPosix
import ParallaxConcurrency
public import ServiceLifecycle

/// A client of a Redis server, of a master that sentinels watch, or of a Redis Cluster, for any number of tasks.
///
/// The commands of all tasks share one connection per server and are pipelined: commands of the same moment go out in one write, and
/// replies arrive in order. Blocking commands and commands that change the state of a connection need a leased connection:
/// ``withConnection(forKey:_:)``.
///
/// The client is a `Service`: it connects, reconnects and serves subscriptions while ``run()`` runs. A command sent before the first
/// connection, or while a connection is being replaced, waits within its own time-out.
///
/// The client repeats a command until its time-out if the server certainly has not executed it: the command was never written, was refused
/// with LOADING, READONLY, TRYAGAIN, CLUSTERDOWN or MASTERDOWN, or was redirected within a cluster. A command of unknown outcome fails with
/// `unknownOutcome`, unless it is marked ``RedisCommand/idempotent``: then it is repeated too. See <doc:FailureSemantics>.
public final class RedisClient: Service, Sendable {
  private let topology: RedisTopology
  private let subscriptions: SubscriptionHub
  private let tracing: CommandTracing?
  private let clock: MonotonicClock
  private let newConnectionsBroadcast = Broadcast<MonotonicClock.Instant>()

  /// The executor of the event loop that serves the shared connection.
  ///
  /// Tasks that prefer this executor (`withTaskExecutorPreference`) send and receive without a change of thread, several times as fast as
  /// other tasks. They must never block.
  public let executor: RedisEventLoopExecutor

  /// Creates a client, which connects when ``run()`` is called.
  ///
  /// - Parameters:
  ///   - configuration: The addresses of the servers, the time-outs and the limits.
  ///   - scripts: The scripts that every new connection loads before the first command, besides scripts that a server lacked; none by
  ///     default.
  ///   - eventLoopGroup: The group that provides the client's one event loop; an event loop itself is accepted too.
  ///   - clock: The clock of pauses between attempts and of repeated work; the event loop measures time-outs.
  ///   - logger: The logger of lost and restored connections; each outage is logged once.
  /// - Throws: ``RedisError`` with `invalidConfiguration` if a setting is out of its bounds.
  public init(
    configuration: RedisConfiguration, scripts: [RedisScript] = [],
    eventLoopGroup: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton, clock: any Clock<Duration> = ContinuousClock(),
    logger: Logger
  ) throws {
    try configuration.validate()
    self.clock = MonotonicClock(clock)
    let eventLoop = eventLoopGroup.next()
    executor = RedisEventLoopExecutor(eventLoop: eventLoop)
    let connector = RedisConnector(
      configuration: configuration, eventLoop: eventLoop, executor: executor, metrics: RedisMetrics(), clock: self.clock,
      newConnections: newConnectionsBroadcast, logger: logger)
    tracing = configuration.tracer.map { CommandTracing($0, configuration) }
    topology = RedisTopology(connector: connector, scripts: KnownScripts(scripts), logger: logger)
    subscriptions = SubscriptionHub(topology.subscriptions, configuration: configuration, connector: connector, logger: logger)
  }

  /// Connects and keeps the client connected until the task is cancelled or a graceful shutdown begins.
  ///
  /// On a graceful shutdown the client refuses new commands, waits at most `commandTimeout` for commands in flight, ends its subscriptions,
  /// and closes its connections; a leased connection is closed when its body ends. A client runs once. An unreachable server or a refused
  /// password does not end `run()`: the client keeps trying, and commands fail with an error that names the reason.
  public func run() async throws {
    defer { newConnectionsBroadcast.finish() }
    await cancelWhenGracefulShutdown {
      await withDiscardingTaskGroup { group in
        group.addTask { await self.topology.run { self.subscriptions.followServers() } }
        group.addTask { await self.subscriptions.run() }
      }
    }
  }

  /// The state of the connection to the server, in a cluster to the master in the worst state; cheap enough for readiness checks.
  public var status: RedisConnectionStatus {
    var status = topology.status
    status.subscriptionRefusal = subscriptions.refusal
    return status
  }

  /// The new shared connections from now on: the first to a server, and each replacement after a failover, a restart or a network fault.
  ///
  /// Redis replicates asynchronously, and a restart can lose the last second: the server of a new connection may lack the latest
  /// acknowledged writes. A program that must not lose them repeats or verifies them after each event.
  ///
  /// - Returns: The events. An event that the consumer has not taken absorbs later ones. The sequence is for one consumer; it ends when the
  ///   client has shut down or the consumer's task is cancelled.
  public func connectionEvents() -> AsyncStream<RedisConnectionEvent> {
    connectionEvents { $0 }
  }

  /// The connection events, transformed.
  package func connectionEvents<Event>(
    _ transform: @escaping @Sendable (RedisConnectionEvent) -> Event
  ) -> AsyncStream<Event> {
    let connections = newConnectionsBroadcast.subscribe(buffering: 1, overflow: .dropNewest)
    return AsyncStream { [clock] in await connections.next().map { transform(RedisConnectionEvent(instant: $0, clock: clock)) } }
  }

  /// Sends a command and waits for its reply.
  ///
  /// Cancelling the task gives up the reply of this command only; the server may still execute it. In a cluster the client divides DEL,
  /// UNLINK, EXISTS, TOUCH and MGET over keys of several masters among them; the command is then atomic per slot only.
  ///
  /// - Parameter command: The command. Blocking commands and commands that change the connection's state are refused.
  /// - Returns: The reply; never an error as a whole.
  /// - Throws: ``RedisError``, or `CancellationError`.
  nonisolated(nonsending) public func send(_ command: RedisCommand) async throws -> RESPValue {
    try command.checkShareable()
    if let tracing { return try await tracing.trace(command) { try await topology.send(command) } }
    return try await topology.send(command)
  }

  /// Sends commands in one write, in one round trip, without another task's command between them.
  ///
  /// A transaction must be complete in its pipeline, from MULTI to EXEC or DISCARD: an open transaction would absorb other tasks' commands.
  ///
  /// In a cluster the commands for each master go out in a write of their own, to all masters at the same time: each master executes its
  /// commands in order, but there is no order between masters. A pipeline with MULTI or WATCH goes as a whole to the master of its first
  /// key.
  ///
  /// Commands that the server certainly has not executed, and idempotent ones of unknown outcome, are repeated after the others, so their
  /// order among the others is lost; a pipeline with MULTI or WATCH is never repeated in part. Replies that arrived in time are valid even
  /// if others are missing.
  ///
  /// - Parameter commands: The commands. The longest of their time-outs applies to all.
  /// - Returns: A reply or an error for each command, in order.
  /// - Throws: `CancellationError`, or ``RedisError`` if a command must not be sent on a shared connection.
  nonisolated(nonsending) public func pipeline(_ commands: [RedisCommand]) async throws -> [Result<RESPValue, RedisError>] {
    if commands.isEmpty { return [] }
    let hasTransaction = try RedisCommand.checkPipeline(commands)
    let commands = hasTransaction ? commands.map(\.inTransaction) : commands
    if let tracing { return try await tracing.trace(commands) { try await topology.pipeline(commands) } }
    return try await topology.pipeline(commands)
  }

  /// Runs a script.
  ///
  /// - Parameters:
  ///   - script: The script; its source is sent only if the server lacks the script.
  ///   - keys: The keys of the script, its `KEYS`.
  ///   - arguments: The other arguments, its `ARGV`; none by default.
  ///   - idempotent: Whether two executions have the same outcome for the caller as one; `false` by default.
  /// - Returns: The script's reply.
  /// - Throws: The errors of ``send(_:)``.
  nonisolated(nonsending) public func evaluate(
    _ script: RedisScript, keys: [String], arguments: [RedisArgument] = [], idempotent: Bool = false
  ) async throws -> RESPValue {
    var command = RedisCommand.evaluate(script, keys: keys, arguments: arguments)
    command.isIdempotent = idempotent
    return try await send(command)
  }

  /// Leases a connection to one task: for blocking commands, WATCH and MULTI, and WAIT, which counts the connection's own writes.
  ///
  /// Commands on a leased connection are not repeated, and the connection is not replaced: a command of unknown outcome fails with
  /// `unknownOutcome`. In a cluster the connection goes to one master, and a key that has moved fails with MOVED or ASK as a server error;
  /// the next lease goes to the right master.
  ///
  /// - Parameters:
  ///   - key: A key of the commands, which selects the master in a cluster; `nil`, the default, takes any master.
  ///   - body: The work; the connection must not be used after it.
  /// - Returns: The value that the body returns.
  /// - Throws: The error of the body; ``RedisError`` if no connection is available within `commandTimeout`.
  nonisolated(nonsending) public func withConnection<Value>(
    forKey key: String? = nil, _ body: nonisolated(nonsending) (RedisLeasedConnection) async throws -> Value
  ) async throws -> Value {
    let lease = try await topology.lease(forKey: key)
    do {
      let value = try await body(lease)
      lease.giveBack()
      return value
    } catch {
      lease.giveBack()
      throw error
    }
  }

  /// Subscribes to channels, and to all channels whose names match patterns.
  ///
  /// The subscription begins at once and ends when its last copy and its iterators are released, or when the client ends. It survives the
  /// loss of the connection and reports it as ``RedisSubscriptionEvent/gap``. All subscriptions of the client share one connection.
  ///
  /// - Parameters:
  ///   - channels: The names of the channels; none by default.
  ///   - patterns: Patterns of names, such as `news.*`, in the form of PSUBSCRIBE; none by default. A message on a named channel that also
  ///     matches a pattern arrives twice.
  /// - Returns: The messages, for one consumer.
  public func subscribe(to channels: [String] = [], patterns: [String] = []) -> RedisSubscription {
    subscriptions.subscribe(to: channels.map { .channel($0) } + patterns.map { .pattern($0) })
  }

  /// Whether a server executes a pipeline's commands in order, whatever their keys: everywhere except in a cluster.
  package var keepsPipelineOrder: Bool {
    if case .cluster = topology { false } else { true }
  }

  /// The share of a cluster's slots that has a key, from 0 and below `count`; masters have ranges of slots.
  package static func slotGroup(of key: String, among count: Int) -> Int { HashSlot.of(key) * count / HashSlot.count }
}
