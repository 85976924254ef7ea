import Logging
import NIOCore
import ParallaxConcurrency

/// Keeps the router's map current: asks servers of the cluster on request, one round at a time.
struct ClusterRefresher: Sendable {
  /// How often the nodes are checked for silence.
  private static let checkInterval = Duration.milliseconds(500)
  /// The number of checks between two refreshes without a request.
  private static let checksPerRefresh = 20
  /// The shortest time between two rounds.
  private static let pause = Duration.milliseconds(100)
  /// The number of servers that are asked at a time.
  private static let breadth = 3
  /// How long the other servers are awaited after the first answer.
  private static let roundGrace = Duration.milliseconds(200)

  let router: ClusterRouter

  /// Refreshes until the task is cancelled.
  ///
  /// - Parameters:
  ///   - reasons: Signaled to request a refresh.
  ///   - changed: Called after each refresh.
  func run(_ reasons: WakeUp, _ changed: @escaping @Sendable () -> Void) async {
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
          if Task.isCancelled { return }
          if failure != error.code {
            router.logger.error("The cluster's slots are unknown; asking again", metadata: ["error": "\(error)"])
          }
          failure = error.code
          // The server's error about CLUSTER is not the reply to the command that a caller waits for.
          router.refreshFailed(
            error.isFinal
              ? error
              : RedisError(
                .connectionFailed, message: "The cluster's slots are unknown: \(error.message)", serverMessage: error.serverMessage,
                cause: error.cause))
          router.askForRefresh()
        }
        try? await router.connector.clock.sleep(for: failure == nil ? Self.pause : Self.pause + .milliseconds(.random(in: 0...200)))
      }
    }
  }

  /// Checks for servers that do not answer.
  private func watch() async {
    var checks = 0
    var owing: [ObjectIdentifier: NIODeadline] = [:]
    await every(Self.checkInterval, clock: router.connector.clock, startsAtOnce: false) {
      checks += 1
      let isWell = router.checkSilence(&owing)
      if checks >= Self.checksPerRefresh || !isWell {
        checks = 0
        router.askForRefresh()
      }
    }
  }

  private func refresh() async -> Result<Void, RedisError> {
    let sources = router.sources
    var lastError: RedisError?
    for kind in [sources.answering.map { ClusterSource.node($0) }, sources.others.map { .endpoint($0) }, sources.silent.map { .node($0) }] {
      for start in stride(from: 0, to: kind.count, by: Self.breadth) where !Task.isCancelled {
        let (reports, error) = await ask(kind[start..<min(start + Self.breadth, kind.count)])
        if router.received(reports) { return .success(()) }
        lastError = Self.worse(lastError, error)
      }
    }
    return .failure(
      lastError ?? RedisError(.connectionFailed, message: "The servers of \(router.map.name) contradict the known state of the cluster."))
  }

  /// The more informative error: one that needs an operator, rather than one that may pass.
  private static func worse(_ former: RedisError?, _ latter: RedisError?) -> RedisError? {
    [former, latter].compactMap { $0 }.first { $0.code != .connectionFailed } ?? latter ?? former
  }

  private enum Answer {
    case report(Result<ClusterView.Report, RedisError>, place: Int)
    case enough
  }

  /// Asks servers at the same time; returns their reports in the order of the servers.
  private func ask(_ sources: ArraySlice<ClusterSource>) async -> (reports: [ClusterView.Report], error: RedisError?) {
    await withTaskGroup(of: Answer.self) { group in
      for (place, source) in zip(sources.indices, sources) {
        group.addTask { .report(await source.report(to: self.router), place: place) }
      }
      var reports: [Int: ClusterView.Report] = [:]
      var error: RedisError?
      var missing = sources.count
      while missing > 0, let answer = await group.next() {
        switch answer {
        case .report(.success(let report), let place):
          missing -= 1
          // A server that does not answer must not delay the others.
          if reports.isEmpty { group.addTask { await self.waitForOthers() } }
          reports[place] = report
        case .report(.failure(let failure), _):
          missing -= 1
          error = Self.worse(error, failure)
        case .enough: missing = 0
        }
      }
      group.cancelAll()
      return (sources.indices.compactMap { reports[$0] }, error)
    }
  }

  private func waitForOthers() async -> Answer {
    try? await router.connector.clock.sleep(for: Self.roundGrace)
    return .enough
  }
}
