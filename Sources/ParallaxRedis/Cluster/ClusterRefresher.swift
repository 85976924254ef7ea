import Logging
import NIOCore
import Synchronization

/// Keeps the router's map up to date: asks servers of the cluster when there is a reason, one round at a time.
struct ClusterRefresher: Sendable {
  typealias Endpoint = RedisConfiguration.Endpoint

  /// How often the masters are looked at.
  private static let lookEvery = Duration.milliseconds(500)
  /// How often the map is asked for without a reason.
  private static let looksPerRefresh = 20
  /// The shortest time between two rounds.
  private static let pause = Duration.milliseconds(100)
  /// How many servers are asked in a round.
  private static let breadth = 3

  let router: ClusterRouter

  /// Refreshes until the task is cancelled.
  ///
  /// - Parameters:
  ///   - reasons: When there is a reason.
  ///   - changed: Learns of each refresh.
  func run(_ reasons: AsyncStream<Void>, _ changed: @escaping @Sendable () -> Void) async {
    await withDiscardingTaskGroup { group in
      group.addTask { await self.watch() }
      var failure: RedisError.Code?
      for await _ in reasons {
        switch await refresh() {
        case .success:
          changed()
          if failure != nil { router.logger.notice("The cluster's slots are known again") }
          failure = nil
        case .failure(let error):
          router.map.attemptFailed(error)
          if failure != error.code {
            router.logger.error("The cluster's slots cannot be learned, asking on", metadata: ["error": "\(error)"])
          }
          failure = error.code
          router.askForRefresh()
        }
        try? await Task.sleep(for: failure == nil ? Self.pause : Self.pause + .milliseconds(.random(in: 0...200)))
      }
    }
  }

  /// Looks for masters that do not answer.
  private func watch() async {
    var looks = 0
    while !Task.isCancelled {
      try? await Task.sleep(for: Self.lookEvery)
      looks += 1
      if looks >= Self.looksPerRefresh || router.owningMasters.contains(where: \.isSilent) {
        looks = 0
        router.askForRefresh()
      }
    }
  }

  private func refresh() async -> Result<Void, RedisError> {
    let (connected, others) = router.sources
    let (reports, error) = await ask(connected.prefix(Self.breadth).map { .node($0) })
    if router.received(reports) { return .success(()) }
    var lastError = error
    var rest = connected.dropFirst(Self.breadth).map { Source.node($0) } + others.map { .endpoint($0) }
    while !rest.isEmpty, !Task.isCancelled {
      let (reports, error) = await ask(Array(rest.prefix(Self.breadth)))
      if router.received(reports) { return .success(()) }
      lastError = Self.worse(lastError, error)
      rest.removeFirst(min(Self.breadth, rest.count))
    }
    return .failure(
      lastError ?? RedisError(.connectionFailed, message: "The servers of \(router.map.name) do not agree with what was seen."))
  }

  /// What an operator has to mend says more than what may pass.
  private static func worse(_ former: RedisError?, _ latter: RedisError?) -> RedisError? {
    [former, latter].compactMap { $0 }.first { $0.code != .connectionFailed } ?? latter ?? former
  }

  // MARK: Asking

  private enum Source: Sendable {
    case node(RedisNode)
    case endpoint(Endpoint)
  }

  private func ask(_ sources: [Source]) async -> (reports: [ClusterView.Report], error: RedisError?) {
    await withTaskGroup(of: Result<ClusterView.Report, RedisError>.self) { group in
      for source in sources { group.addTask { await self.ask(source) } }
      var reports: [ClusterView.Report] = []
      var error: RedisError?
      for await result in group {
        switch result {
        case .success(let report): reports.append(report)
        case .failure(let failure): error = Self.worse(error, failure)
        }
      }
      return (reports, error)
    }
  }

  private func ask(_ source: Source) async -> Result<ClusterView.Report, RedisError> {
    do throws(RedisError) {
      switch source {
      case .node(let node):
        guard let connection = node.current else { throw RedisError(.connectionFailed, message: "\(node.locator.name) is not connected.") }
        return .success(try await ask(connection))
      case .endpoint(let endpoint):
        let connection = try await router.connector.connect(to: endpoint, role: .commands)
        defer { connection.close() }
        return .success(try await ask(connection))
      }
    } catch {
      return .failure(error)
    }
  }

  private func ask(_ connection: RedisConnection) async throws(RedisError) -> ClusterView.Report {
    let patience = TimeAmount(clamping: min(.seconds(1), router.configuration.connectTimeout))
    let outcome = await connection.execute([RedisCommand("CLUSTER", "SHARDS"), RedisCommand("CLUSTER", "INFO")], timeout: patience)
    guard outcome.failure == nil else {
      throw RedisError(
        .connectionFailed, command: "CLUSTER", message: "\(connection.endpoint) did not tell its map of the cluster in time.")
    }
    let epoch = ClusterView.epoch(inInfo: outcome.replies[1].string ?? "")
    guard let refusal = outcome.replies[0].errorMessage else {
      let usesTLS = router.configuration.tls != nil
      return .init(map: try ClusterMap(shards: outcome.replies[0], from: connection.endpoint, usesTLS: usesTLS), epoch: epoch)
    }
    if refusal.contains("cluster support disabled") {
      throw RedisError(
        .invalidConfiguration, command: "CLUSTER", message: "\(connection.endpoint) is no server of a cluster: use it as a single server.",
        serverMessage: refusal)
    }
    // CLUSTER SHARDS came with Redis 7.0.
    switch await connection.execute(RedisCommand("CLUSTER", "SLOTS"), timeout: patience) {
    case .reply(let reply) where reply.errorMessage == nil:
      return .init(map: try ClusterMap(slots: reply, from: connection.endpoint), epoch: epoch)
    case .reply(let reply):
      throw RedisError(
        .serverError, command: "CLUSTER", message: "\(connection.endpoint) refuses to tell its map of the cluster.",
        serverMessage: reply.errorMessage)
    case .failed:
      throw RedisError(
        .connectionFailed, command: "CLUSTER", message: "\(connection.endpoint) did not tell its map of the cluster in time.")
    }
  }
}

extension RedisNode {
  /// Whether the server is not connected, or has not sent anything for a while although replies are due.
  fileprivate var isSilent: Bool {
    guard let connection = current, !connection.isClosed else { return true }
    return connection.isBusy && connector.eventLoop.now - connection.lastArrival > .milliseconds(500)
  }
}
