public import Logging
public import NIOCore
public import NIOPosix
import ParallaxConcurrency
public import ServiceLifecycle

/// A client of a Redis server, of a master that sentinels watch, or of a Redis Cluster, for any number of tasks.
///
/// Commands of all tasks share one connection for each server and are pipelined: what is sent in the same moment goes out in one write,
/// and replies come back in order. Blocking commands and commands that change the state of a connection need a leased connection:
/// ``withConnection(forKey:_:)``.
///
/// The client is a `Service`: it connects, reconnects and serves subscriptions while ``run()`` runs. A command sent before the connection
/// is there, or while it is being replaced, waits for it within its own time-out.
///
/// A command the server is known not to have executed (it was never written, or was refused with LOADING, READONLY, TRYAGAIN,
/// CLUSTERDOWN or MASTERDOWN, or sent elsewhere in a cluster) is tried again until its time-out. One whose fate is unknown fails with
/// `unknownOutcome`, unless it is marked ``RedisCommand/idempotent``: then it is tried again too. See <doc:FailureSemantics>.
public final class RedisClient: Service, Sendable {
  private let topology: RedisTopology
  private let subscriptions: SubscriptionHub
  private let tracing: CommandTracing?
  private let newConnectionsBroadcast = Broadcast<ContinuousClock.Instant>()

  /// The executor of the event loop that serves the shared connection.
  ///
  /// Tasks that prefer it (`withTaskExecutorPreference`) send and receive without changing threads, several times as fast as from
  /// elsewhere. They must never block.
  public let executor: RedisEventLoopExecutor

  /// Makes a client; it connects when ``run()`` is called.
  ///
  /// - Parameters:
  ///   - configuration: Where the servers are, and the time-outs and bounds.
  ///   - scripts: The scripts that every new connection loads before the first command, besides scripts that a server turned out to lack.
  ///   - eventLoopGroup: Where the client takes its one event loop from; an event loop itself serves as well.
  ///   - logger: Where connections lost and regained are reported, each outage once.
  /// - Throws: ``RedisError`` with `invalidConfiguration` if a setting is out of its bounds.
  public init(
    configuration: RedisConfiguration, scripts: [RedisScript] = [],
    eventLoopGroup: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton, logger: Logger
  ) throws {
    try configuration.validate()
    let eventLoop = eventLoopGroup.next()
    executor = RedisEventLoopExecutor(eventLoop: eventLoop)
    let connector = RedisConnector(
      configuration: configuration, eventLoop: eventLoop, executor: executor, metrics: RedisMetrics(),
      newConnections: newConnectionsBroadcast, logger: logger)
    tracing = configuration.tracer.map { CommandTracing($0, configuration) }
    topology = RedisTopology(connector: connector, scripts: KnownScripts(scripts), logger: logger)
    subscriptions = SubscriptionHub(topology.subscriptions, configuration: configuration, connector: connector, logger: logger)
  }

  /// Connects and keeps the client connected until the task is cancelled or a graceful shutdown begins.
  ///
  /// On a graceful shutdown new commands are refused, commands in flight get `commandTimeout` at most, subscriptions end, and the
  /// connections are closed; a leased connection is closed when its body ends. A client runs once. A server that is unreachable or refuses
  /// the password does not end `run()`: the client goes on trying, and commands fail with an error that names the reason.
  public func run() async throws {
    defer { newConnectionsBroadcast.finish() }
    await cancelWhenGracefulShutdown {
      await withDiscardingTaskGroup { group in
        group.addTask { await self.topology.run { self.subscriptions.followServers() } }
        group.addTask { await self.subscriptions.run() }
      }
    }
  }

  /// How the client stands with its server, or in a cluster with the master that is worst off; for readiness checks, cheap.
  public var status: RedisConnectionStatus {
    var status = topology.status
    status.subscriptionRefusal = subscriptions.refusal
    return status
  }

  /// The new shared connections from now on: the first to a server, and each that replaces another after a failover, a restart or a network
  /// fault.
  ///
  /// Redis replicates asynchronously, and a restart can lose the last second: the server of the new connection may lack what was
  /// acknowledged last. A program that must not lose such writes repeats or verifies them at each event.
  ///
  /// - Returns: The instants at which connections were made, before a command was acknowledged on them. Events that arrive before the
  ///   consumer has taken the last one are merged into it. The sequence is for one consumer; it ends when the client has shut down or the
  ///   consumer's task is cancelled.
  public func connectionEvents() -> AsyncStream<ContinuousClock.Instant> {
    newConnectionsBroadcast.subscribe(buffering: 1, overflow: .dropNewest).stream()
  }

  /// Sends a command and waits for its reply.
  ///
  /// Cancelling the task gives up the reply of this command alone; the server may still execute it. In a cluster DEL, UNLINK, EXISTS, TOUCH
  /// and MGET over keys of several masters are divided among them, and are atomic for each slot only.
  ///
  /// - Parameter command: The command. Blocking commands and commands that change the connection's state are refused.
  /// - Returns: The reply; never an error as a whole.
  /// - Throws: ``RedisError``, or `CancellationError`.
  nonisolated(nonsending) public func send(_ command: RedisCommand) async throws -> RESPValue {
    try command.checkShareable()
    if let tracing { return try await tracing.trace(command) { try await topology.send(command) } }
    return try await topology.send(command)
  }

  /// Sends commands in one write, so that they cost one round trip and no other task's command comes between them.
  ///
  /// A transaction has to be whole in its pipeline, from MULTI to EXEC or DISCARD: what it left open would swallow other tasks' commands.
  ///
  /// In a cluster the commands for each master go out in one write of their own, to all masters at the same time: their order is kept
  /// at each master, not between them. A pipeline with MULTI or WATCH goes as a whole to the master of its first key.
  ///
  /// Commands that the server refused without executing them, and idempotent ones of unknown outcome, are sent again after the rest, so
  /// their order among the others is not kept then; a pipeline with MULTI or WATCH is never sent again in part. Replies that came in time
  /// count although others are missing.
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
  ///   - script: The script; its source is sent only if the server does not know it.
  ///   - keys: The keys it touches.
  ///   - arguments: Its other arguments.
  ///   - idempotent: Whether running it twice has the same outcome for the caller as running it once.
  /// - Returns: What the script returns.
  /// - Throws: As ``send(_:)``.
  nonisolated(nonsending) public func evaluate(
    _ script: RedisScript, keys: [String], arguments: [RedisArgument] = [], idempotent: Bool = false
  ) async throws -> RESPValue {
    var command = RedisCommand.evaluate(script, keys: keys, arguments: arguments)
    command.isIdempotent = idempotent
    return try await send(command)
  }

  /// Lends a connection to one task: for blocking commands, WATCH and MULTI, and WAIT, which speaks of the connection's own writes.
  ///
  /// The connection is not retried or replaced while it is lent: a command whose fate is unknown fails with `unknownOutcome`. In a cluster
  /// it goes to one master, and a key that has moved away fails with MOVED or ASK as the server's error; the next lease goes to the
  /// right master.
  ///
  /// - Parameters:
  ///   - key: One of the keys that the connection is for, which finds the master in a cluster; `nil` takes any master.
  ///   - body: What to do with the connection; it must not be used after.
  /// - Returns: What the body returns.
  /// - Throws: What the body throws; ``RedisError`` if no connection can be had within `commandTimeout`.
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
  /// The subscription begins at once and ends when the last copy of it and its iterators is gone, or the client ends. It survives the
  /// loss of the connection and tells of it with ``RedisSubscriptionEvent/gap``. All subscriptions of the client share one connection.
  ///
  /// - Parameters:
  ///   - channels: The names of the channels.
  ///   - patterns: Patterns of names, such as `news.*`, as PSUBSCRIBE takes them. A message whose channel is named and also matches a
  ///     pattern arrives twice.
  /// - Returns: The messages, for one consumer.
  public func subscribe(to channels: [String] = [], patterns: [String] = []) -> RedisSubscription {
    subscriptions.subscribe(to: channels.map { .channel($0) } + patterns.map { .pattern($0) })
  }

  /// Whether the server executes a pipeline's commands in their order, whichever keys they are for: everywhere but in a cluster.
  package var keepsPipelineOrder: Bool {
    if case .cluster = topology { false } else { true }
  }
}
