import Logging
import NIOCore
import ParallaxConcurrency
import Synchronization

/// Finds the master: asks all sentinels, and subscribes to their announcements of failovers.
///
/// The monitor keeps one connection for queries and one for announcements to each sentinel. An announcement only triggers queries, so that
/// the majority outvotes one mistaken sentinel.
///
/// When a failover begins, the client leaves the master before the replica is promoted, and sends nothing until the sentinels name the new
/// master. The former master keeps acknowledging writes meanwhile, and discards them when it becomes a replica.
final class SentinelMonitor: Sendable {
  private struct Sentinel {
    let node: RedisNode
    let announcements: SubscriptionHub
  }

  private struct State {
    var epoch: Int64 = 0
    var master: RedisConfiguration.Endpoint?
    /// Until when the master must not receive writes, because it is being replaced.
    var heldUntil: NIODeadline?

    func isHeld(_ endpoint: RedisConfiguration.Endpoint, now: NIODeadline) -> Bool {
      heldUntil.map { now < $0 && endpoint == master } ?? false
    }
  }

  /// How long a failover may take; after that the former master is used again.
  private static let longestFailover = TimeAmount.seconds(5)
  /// The interval of queries during a failover.
  private static let failoverInterval = Duration.milliseconds(30)
  /// How long a sentinel is awaited during a failover.
  private static let failoverQuestionTimeout = Duration.milliseconds(300)
  /// The interval of queries without a failover.
  private static let interval = Duration.seconds(5)

  let masterName: String
  private let sentinels: [Sentinel]
  private let questionTimeout: Duration
  private let clock: MonotonicClock
  private let logger: Logger
  private let state = Mutex(State())
  /// Signaled to ask the sentinels.
  private let wakeUp = WakeUp()

  init(_ settings: RedisConfiguration.Sentinel, connector: RedisConnector, logger: Logger) {
    var connector = connector
    var configuration = connector.configuration
    configuration.username = settings.username
    configuration.password = settings.password
    configuration.tls = settings.tls
    configuration.database = 0
    configuration.requirements = nil
    configuration.credentials = nil
    connector.configuration = configuration
    connector.role = .sentinel
    // A sentinel has no data that could be lost.
    connector.newConnections = Broadcast()
    masterName = settings.masterName
    questionTimeout = configuration.connectTimeout
    clock = connector.clock
    self.logger = logger
    sentinels = settings.sentinels.map { endpoint in
      let locator = ServerLocator.fixed(endpoint, name: "sentinel \(endpoint)", outageLevel: .warning)
      return Sentinel(
        node: RedisNode(locator, configuration: configuration, connector: connector, scripts: KnownScripts([]), logger: logger),
        announcements: SubscriptionHub(locator, configuration: configuration, connector: connector, logger: logger))
    }
  }

  /// Keeps the connections to the sentinels until the task is cancelled.
  ///
  /// - Parameters:
  ///   - leave: Called when the master is about to be replaced.
  ///   - asked: Called after each round in which the sentinels named the master.
  func run(leave: @escaping @Sendable () -> Void, asked: @escaping @Sendable () -> Void) async {
    await withDiscardingTaskGroup { group in
      for sentinel in sentinels {
        group.addTask { await sentinel.node.run() }
        group.addTask { await sentinel.announcements.run() }
        group.addTask {
          await self.listen(to: sentinel.announcements.subscribe(to: SentinelAnnouncement.channels.map { .channel($0) }), leave)
        }
      }
      group.addTask {
        await every(Self.interval, clock: self.clock, startsAtOnce: false) { self.wakeUp.signal() }
      }
      for await _ in wakeUp {
        if (try? await ask()) != nil { asked() }
      }
    }
  }

  private func listen(to events: RedisSubscription, _ leave: @Sendable () -> Void) async {
    for await event in events {
      switch event {
      case .message(let channel, let payload):
        switch SentinelAnnouncement(channel: channel, message: String(buffer: payload), of: masterName) {
        case nil: break
        case .begins:
          state.withLock { $0.heldUntil = .now() + Self.longestFailover }
          leave()
        case .aborted: state.withLock { $0.heldUntil = nil }
        case .switched: wakeUp.signal()
        }
      case .refused(let error):
        logger.warning("A sentinel refuses the subscription to failovers", metadata: ["error": "\(error)"])
      // Announcements before the first subscription or in a gap are lost, so the sentinels are asked.
      case .subscribed, .gap: wakeUp.signal()
      }
    }
  }

  /// Whether a server is the master of the last round and is not being replaced.
  func isMaster(_ endpoint: RedisConfiguration.Endpoint) -> Bool {
    state.withLock { $0.master == endpoint && !$0.isHeld(endpoint, now: .now()) }
  }

  /// Asks the sentinels for the master; during a failover, until its end.
  func locate() async throws(RedisError) -> RedisConfiguration.Endpoint {
    while true {
      let master = try await ask()
      if isMaster(master) { return master }
      do { try await clock.sleep(for: Self.failoverInterval) } catch { throw ReconnectionDriver.shuttingDown }
    }
  }

  private func ask() async throws(RedisError) -> RedisConfiguration.Endpoint {
    let (seen, isHeld) = state.withLock { ($0.epoch, $0.heldUntil.map { .now() < $0 } ?? false) }
    let questionTimeout = isHeld ? min(questionTimeout, Self.failoverQuestionTimeout) : questionTimeout
    var round = MasterDiscovery(masterName: masterName, sentinels: sentinels.count, seenEpoch: seen, waitsForAll: isHeld)
    let decision = await withTaskGroup(of: (Int, MasterDiscovery.Answer)?.self) { group in
      for (index, sentinel) in sentinels.enumerated() {
        group.addTask { (index, await self.question(sentinel.node)) }
      }
      group.addTask {
        try? await self.clock.sleep(for: questionTimeout)
        return nil
      }
      defer { group.cancelAll() }
      for await answer in group {
        guard let (index, answer) = answer else { break }
        if let decision = round.answered(index, answer) { return decision }
      }
      return round.decide()
    }
    switch decision {
    case .fail(let error): throw error
    case .master(let endpoint, let epoch): return adopt(endpoint, epoch: epoch, seen: seen)
    }
  }

  /// Rounds can overlap: a round that began before a failover must not undo the result of a later one.
  private func adopt(_ endpoint: RedisConfiguration.Endpoint, epoch: Int64, seen: Int64) -> RedisConfiguration.Endpoint {
    let (former, now) = state.withLock { state -> (RedisConfiguration.Endpoint?, RedisConfiguration.Endpoint) in
      let former = state.master
      if let former, state.epoch > seen, epoch < state.epoch { return (former, former) }
      if endpoint != former { state.heldUntil = nil }
      state.epoch = epoch
      state.master = endpoint
      return (former, endpoint)
    }
    if let former, former != now {
      // All connections to the former master must be closed, not only that of this caller.
      wakeUp.signal()
      logger.notice(
        "The sentinels name another master", metadata: ["redis.master": "\(masterName)", "from": "\(former)", "to": "\(now)"])
    }
    return now
  }

  private func question(_ sentinel: RedisNode) async -> MasterDiscovery.Answer {
    do {
      let questions = SentinelReply.questions(about: masterName).map { $0.withTimeout(questionTimeout) }
      return SentinelReply.answer(try await sentinel.pipeline(questions), about: masterName)
    } catch {
      return .failed(
        error as? RedisError ?? RedisError(.connectionFailed, message: "The query of the sentinel was interrupted.", cause: error))
    }
  }
}
