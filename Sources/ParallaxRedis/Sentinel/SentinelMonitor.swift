import Logging
import NIOCore
import Synchronization

/// Knows where the master is: asks all sentinels, and listens to them for the next failover.
///
/// Each sentinel has a connection for questions and one for news. News are only a reason to ask, so that one sentinel's mistake is outvoted.
final class SentinelMonitor: Sendable {
  private struct Sentinel {
    let node: RedisNode
    let news: SubscriptionHub
  }

  private struct State {
    var epoch: Int64 = 0
    var master: RedisConfiguration.Endpoint?
  }

  /// How often the sentinels are asked without a reason.
  private static let interval = Duration.seconds(5)
  private static let channel = "+switch-master"

  let masterName: String
  private let sentinels: [Sentinel]
  private let patience: Duration
  private let logger: Logger
  private let state = Mutex(State())
  private let reasons: AsyncStream<Void>
  private let ask: AsyncStream<Void>.Continuation

  init(_ settings: RedisConfiguration.Sentinel, connector: RedisConnector, logger: Logger) {
    var connector = connector
    var configuration = connector.configuration
    configuration.username = settings.username
    configuration.password = settings.password
    configuration.tls = settings.tls
    configuration.database = 0
    connector.configuration = configuration
    connector.role = .sentinel
    masterName = settings.masterName
    patience = configuration.connectTimeout
    self.logger = logger
    sentinels = settings.sentinels.map { endpoint in
      let locator = ServerLocator.fixed(endpoint, name: "sentinel \(endpoint)", outageLevel: .warning)
      return Sentinel(
        node: RedisNode(locator, configuration: configuration, connector: connector, scripts: KnownScripts([]), logger: logger),
        news: SubscriptionHub(locator, configuration: configuration, connector: connector, logger: logger))
    }
    (reasons, ask) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
  }

  /// Keeps the connections to the sentinels until the task is cancelled.
  ///
  /// - Parameter asked: Called each time that the sentinels have said where the master is.
  func run(_ asked: @escaping @Sendable () -> Void) async {
    await withDiscardingTaskGroup { group in
      for sentinel in sentinels {
        group.addTask { await sentinel.node.run() }
        group.addTask { await sentinel.news.run() }
        group.addTask { await self.listen(to: sentinel.news.subscribe(to: [Self.channel])) }
      }
      group.addTask {
        while !Task.isCancelled {
          try? await Task.sleep(for: Self.interval)
          self.ask.yield()
        }
      }
      for await _ in reasons {
        if (try? await locate()) != nil { asked() }
      }
    }
  }

  private func listen(to news: RedisSubscription) async {
    for await event in news {
      switch event {
      case .message(_, let payload): if SentinelReply.isAbout(masterName, message: String(buffer: payload)) { ask.yield() }
      // What happened before the first or without a subscription is to be asked for.
      case .subscribed, .gap: ask.yield()
      }
    }
  }

  /// The master as it was last found.
  var master: RedisConfiguration.Endpoint? { state.withLock { $0.master } }

  /// Asks the sentinels where the master is.
  func locate() async throws(RedisError) -> RedisConfiguration.Endpoint {
    let seen = state.withLock { $0.epoch }
    var round = MasterDiscovery(masterName: masterName, sentinels: sentinels.count, seenEpoch: seen)
    let decision = await withTaskGroup(of: (Int, MasterDiscovery.Answer)?.self) { group in
      for (index, sentinel) in sentinels.enumerated() {
        group.addTask { (index, await self.question(sentinel.node)) }
      }
      group.addTask {
        try? await Task.sleep(for: self.patience)
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

  /// Several rounds may be under way: one that began before a failover must not undo what a later one found.
  private func adopt(_ endpoint: RedisConfiguration.Endpoint, epoch: Int64, seen: Int64) -> RedisConfiguration.Endpoint {
    let (former, now) = state.withLock { state -> (RedisConfiguration.Endpoint?, RedisConfiguration.Endpoint) in
      let former = state.master
      if let former, state.epoch > seen, epoch < state.epoch { return (former, former) }
      state.epoch = epoch
      state.master = endpoint
      return (former, endpoint)
    }
    if let former, former != now {
      // Whoever has a connection to the former master has to learn it, not only whoever has asked.
      ask.yield()
      logger.notice(
        "The sentinels name another master", metadata: ["redis.master": "\(masterName)", "from": "\(former)", "to": "\(now)"])
    }
    return now
  }

  private func question(_ sentinel: RedisNode) async -> MasterDiscovery.Answer {
    do {
      let questions = SentinelReply.questions(about: masterName).map { $0.timeout(patience) }
      return SentinelReply.answer(try await sentinel.pipeline(questions))
    } catch {
      return .failed(error as? RedisError ?? RedisError(.connectionFailed, message: "The sentinel was not asked to the end.", cause: error))
    }
  }
}
