import Logging
package import NIOCore
package import ParallaxConcurrency
import ParallaxHA
package import ParallaxRedis
import Synchronization

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// Asks Redis for everything that a diagnosis judges, over connections of its own: those of a node exist only while nothing is wrong.
///
/// Nothing is stored: the rights are probed as at each connection of a node, and the one message goes to a channel of its own. A question
/// without an answer leaves its fact unknown, and no question waits for another server's answer.
package struct RedisSurvey: Sendable {
  /// The longest time of a survey.
  package static let limit: Duration = .seconds(6)
  /// The longest wait for one answer.
  private static let answerLimit: Duration = .seconds(2)
  /// How often a server is asked for a mere reply.
  private static let pings = 8
  /// The parameters of CONFIG GET that are asked for; none has a secret.
  private static let parameters = [
    "save", "appendonly", "appendfsync", "stop-writes-on-bgsave-error", "maxmemory-policy", "min-replicas-to-write",
    "min-replicas-max-lag",
  ]

  private let configuration: RedisConfiguration
  private let keys: KeySpace
  private let requirements: RedisServerRequirements
  private let group: any EventLoopGroup
  private let clock: MonotonicClock

  /// Makes a survey.
  ///
  /// - Parameters:
  ///   - configuration: The settings of the nodes' client.
  ///   - keys: The names of the nodes' keys.
  ///   - requiresReplicas: Whether the election waits for replicas.
  ///   - eventLoopGroup: The group that provides the event loop of the connections.
  ///   - clock: The clock of the limits and of the measured times.
  package init(
    configuration: RedisConfiguration, keys: KeySpace, requiresReplicas: Bool, eventLoopGroup: any EventLoopGroup, clock: MonotonicClock
  ) {
    var configuration = configuration
    // A server that does not meet them must answer too.
    configuration.requirements = nil
    configuration.connectTimeout = min(configuration.connectTimeout, Self.answerLimit)
    configuration.commandTimeout = min(configuration.commandTimeout, Self.answerLimit)
    self.configuration = configuration
    self.keys = keys
    requirements = StoreRequirements.all(keys: keys, requiresReplicas: requiresReplicas)
    group = eventLoopGroup
    self.clock = clock
  }

  /// Asks all questions.
  ///
  /// - Returns: The answers, after at most ``limit``; after a cancellation those that have arrived.
  package func facts() async -> RedisFacts {
    let draft = Draft(
      RedisFacts(
        deployment: configuration.deployment.kind, address: configuration.deployment.description, user: user, keyPrefix: keys.prefix))
    try? await withTimeout(Self.limit, clock: clock) {
      await withTaskGroup(of: Void.self) { group in
        group.addTask { await askServers(draft) }
        group.addTask { await askStore(draft) }
      }
    }
    return draft.facts
  }

  /// The user of the next login; the configured one if its file cannot be read.
  private var user: String {
    let current = configuration.credentials.flatMap { try? $0() }
    return (current.map(\.username) ?? configuration.username) ?? "default"
  }

  /// The facts so far, which survive the limit of the survey.
  private final class Draft: Sendable {
    private let state: Mutex<RedisFacts>

    init(_ facts: RedisFacts) { state = Mutex(facts) }

    var facts: RedisFacts { state.withLock { $0 } }

    func note(_ change: (inout RedisFacts) -> Void) { state.withLock { change(&$0) } }

    func note(server index: Int, _ change: (inout RedisServerFacts) -> Void) { state.withLock { change(&$0.servers[index]) } }
  }

  // MARK: Servers

  private func askServers(_ draft: Draft) async {
    switch configuration.deployment {
    case .standalone(let endpoint):
      draft.note { $0.servers = [self.unasked(endpoint)] }
      await ask(configuration.deployment, draft, server: 0)
    case .sentinel(let sentinel):
      draft.note { $0.servers = [RedisServerFacts(server: "the master \(sentinel.masterName)", cli: "redis-cli")] }
      await ask(configuration.deployment, draft, server: 0)
    case .cluster(let nodes): await askCluster(nodes, draft)
    }
  }

  /// Asks all masters that one of the configured servers knows.
  private func askCluster(_ nodes: [RedisConfiguration.Endpoint], _ draft: Draft) async {
    let usesTLS = configuration.tls != nil
    let reports = await withTaskGroup(of: Result<RedisClusterReport, any Error>.self) { group in
      for node in nodes {
        group.addTask {
          do {
            return .success(
              try await withLease(of: .standalone(node)) { try await RedisClusterReport(asking: $0, usesTLS: usesTLS) })
          } catch {
            return .failure(error)
          }
        }
      }
      return await group.reduce(into: []) { $0.append($1) }
    }
    let known = reports.compactMap { try? $0.get() }
    // A server that was cut off may know a former state; the one that knows most owners is believed.
    guard let report = known.max(by: { ($0.coveredSlots, $0.failedSlots) < ($1.coveredSlots, $1.failedSlots) }) else {
      let reason = reports.compactMap { if case .failure(let error) = $0 { error as? RedisError } else { nil } }.first
      return draft.note { facts in
        facts.failure = reason ?? RedisError(.connectionFailed, message: "no server of the cluster answered in time")
        facts.slots = .unknown("no server of the cluster answered")
      }
    }
    draft.note { facts in
      facts.slots = .known(report)
      facts.servers = report.masters.map(unasked)
    }
    await withTaskGroup(of: Void.self) { group in
      for (index, master) in report.masters.enumerated() {
        group.addTask { await ask(.standalone(master), draft, server: index) }
      }
    }
  }

  private func unasked(_ endpoint: RedisConfiguration.Endpoint) -> RedisServerFacts {
    RedisServerFacts(server: endpoint.description, cli: cli(endpoint))
  }

  private func cli(_ endpoint: RedisConfiguration.Endpoint) -> String {
    switch endpoint {
    case .unixSocket(let path): "redis-cli -s \(path)"
    case .host(let host, let port): "redis-cli -h \(host) -p \(port)" + (configuration.tls == nil ? "" : " --tls")
    }
  }

  private func ask(_ deployment: RedisConfiguration.Deployment, _ draft: Draft, server index: Int) async {
    do {
      try await withLease(of: deployment) { connection in
        let endpoint = connection.endpoint
        draft.note(server: index) { facts in
          if case .sentinel = deployment { facts.server = "\(facts.server) (\(endpoint))" }
          facts.cli = cli(endpoint)
        }
        try await ask(connection, draft, server: index)
      }
    } catch {
      draft.note(server: index) { $0.failure = Self.failure(error) }
    }
  }

  private func ask(_ connection: RedisLeasedConnection, _ draft: Draft, server index: Int) async throws {
    var times: [Duration] = []
    for _ in 0..<Self.pings {
      let begin = clock.now
      // An error is an answer too: a Redis that cannot write to its disk refuses even PING (MISCONF), and one that starts does (LOADING).
      do { _ = try await connection.send(RedisCommand("PING")) } catch let error as RedisError where error.code == .serverError {}
      times.append(begin.duration(to: clock.now))
    }
    times.sort()
    let latency = RedisServerFacts.Latency(median: times[times.count / 2], longest: times[times.count - 1])
    let offset = await clockOffset(connection)
    draft.note(server: index) { facts in
      facts.latency = .known(latency)
      facts.clock = offset
    }
    await askForReports(connection, draft, server: index)
    await askForRights(connection, draft, server: index)
  }

  private func clockOffset(_ connection: RedisLeasedConnection) async -> Fact<RedisServerFacts.ClockOffset> {
    let (begin, wall) = (clock.now, Date.now.timeIntervalSince1970)
    do {
      let reply = try await connection.send(RedisCommand("TIME"))
      let duration = begin.duration(to: clock.now)
      guard let parts = reply.array, parts.count == 2, let seconds = parts[0].int, let microseconds = parts[1].int else {
        return .unknown("the reply to TIME has another form")
      }
      let time = Duration.seconds(seconds) + .microseconds(microseconds)
      return .known(.init(offset: time - .seconds(wall) - duration / 2, uncertainty: duration / 2))
    } catch {
      return .unknown(reason(error, of: "TIME"))
    }
  }

  private func askForReports(_ connection: RedisLeasedConnection, _ draft: Draft, server index: Int) async {
    let commands =
      [RedisCommand("HELLO"), RedisCommand("ROLE"), RedisCommand("INFO")] + Self.parameters.map { RedisCommand("CONFIG", "GET", $0) }
    let replies: [Result<RESPValue, RedisError>]
    do { replies = try await connection.pipeline(commands) } catch { return }
    let hello = fact(replies[0], of: "HELLO") { $0.map }
    let info = fact(replies[2], of: "INFO") { reply in
      (try? RedisInfo(reply: reply)).map { $0.sections.values.reduce(into: [:]) { $0.merge($1) { first, _ in first } } }
    }
    let settings = replies.dropFirst(3).reduce(Fact<[String: String]>.known([:])) { settings, reply in
      guard case .known(var known) = settings else { return settings }
      return fact(reply, of: "CONFIG GET", granting: "config|get") { $0.map }.map { pairs in
        for (name, value) in pairs { known[name] = value.string }
        return known
      }
    }
    let identity = hello.value.flatMap { Self.identity(of: $0) } ?? info.value.flatMap { Self.identity(of: $0) }
    draft.note(server: index) { facts in
      facts.identity = identity.map { .known($0) } ?? .unknown("the server tells it neither by HELLO nor by INFO")
      facts.role = fact(replies[1], of: "ROLE") { Self.role(of: $0) }
      if facts.role.value == nil, let name = hello.value?["role"]?.string { facts.role = .known(name == "master" ? .master : .other(name)) }
      facts.info = info
      facts.settings = settings
    }
  }

  private func askForRights(_ connection: RedisLeasedConnection, _ draft: Draft, server index: Int) async {
    let rights: Fact<RedisServerRequirements.Gaps>
    do {
      let replies = try await connection.pipeline(requirements.probes.map(\.command))
      let messages = replies.map { reply -> String? in
        switch reply {
        case .success(let value): value.errorMessage
        case .failure(let error): error.serverMessage
        }
      }
      rights = .known(requirements.gaps(by: messages))
    } catch {
      rights = .unknown(reason(error, of: "the probes of rights"))
    }
    draft.note(server: index) { $0.rights = rights }
  }

  // MARK: The store

  /// Asks what a node would ask the deployment as a whole.
  private func askStore(_ draft: Draft) async {
    do {
      try await withClient(of: configuration.deployment) { client in
        // Together, so that a server that does not answer costs one wait.
        async let storedElection = self.election(client)
        async let storedMembers = self.members(client)
        async let message = self.roundTrip(client)
        let (election, members, roundTrip) = await (storedElection, storedMembers, message)
        draft.note { facts in
          facts.election = election
          facts.members = members
          facts.roundTrip = roundTrip
        }
      }
    } catch {
      let reason = reason(error, of: "the store")
      draft.note { facts in
        if facts.roundTrip == .unknown(RedisFacts.notAsked) { facts.roundTrip = .unknown(reason) }
      }
    }
  }

  private func election(_ client: RedisClient) async -> Fact<ElectionRecord?> {
    do {
      return .known(try await RedisElectionStore(client: client, keys: keys).read()?.record)
    } catch let error as ElectionError {
      return .unknown(error.message)
    } catch {
      return .unknown(reason(error, of: "GET"))
    }
  }

  private func members(_ client: RedisClient) async -> Fact<MembershipSnapshot> {
    do {
      return .known(try await RedisMembershipStore(client: client, keys: keys).members())
    } catch {
      return .unknown(reason(error, of: "HGETALL"))
    }
  }

  /// Publishes a message until it arrives: one that is published before the subscription is active is lost.
  private func roundTrip(_ client: RedisClient) async -> Fact<Duration> {
    let channel = "\(keys.prefix)diagnosis:\(UInt64.random(in: .min ... .max))"
    let subscription = client.subscribe(to: [channel])
    do {
      return try await withTimeout(Self.answerLimit, clock: clock) {
        var sentAt = clock.now
        for await event in subscription {
          switch event {
          case .subscribed, .gap:
            sentAt = clock.now
            _ = try await client.send(RedisCommand("PUBLISH", channel, "diagnosis"))
          case .message: return .known(sentAt.duration(to: clock.now))
          case .refused(let error): return .unknown(reason(error, of: "SUBSCRIBE", granting: "subscribe +unsubscribe &\(keys.prefix)*"))
          }
        }
        throw CancellationError()
      }
    } catch is TimeoutError {
      return .unknown("no message arrived within \(Self.answerLimit.components.seconds) s")
    } catch {
      return .unknown(reason(error, of: "PUBLISH", granting: "publish &\(keys.prefix)*"))
    }
  }

  // MARK: Connections

  private func withLease<Value: Sendable>(
    of deployment: RedisConfiguration.Deployment, _ body: @escaping @Sendable (RedisLeasedConnection) async throws -> Value
  ) async throws -> Value {
    try await withClient(of: deployment) { client in
      try await client.withConnection { connection in try await body(connection) }
    }
  }

  /// Runs a client for the time of the body.
  private func withClient<Value: Sendable>(
    of deployment: RedisConfiguration.Deployment, _ body: @escaping @Sendable (RedisClient) async throws -> Value
  ) async throws -> Value {
    var configuration = configuration
    configuration.deployment = deployment
    let silent = Logger(label: "parallax.diagnosis") { _ in SwiftLogNoOpLogHandler() }
    let client = try RedisClient(configuration: configuration, eventLoopGroup: group, clock: clock, logger: silent)
    return try await race {
      try await body(client)
    } until: {
      try await client.run()
    }.result.get()
  }

  // MARK: Reading

  private func fact<Value: Sendable>(
    _ reply: Result<RESPValue, RedisError>, of command: String, granting right: String? = nil, _ read: (RESPValue) -> Value?
  ) -> Fact<Value> {
    switch reply {
    case .success(let value): read(value).map { .known($0) } ?? .unknown("the reply to \(command) has another form")
    case .failure(let error): .unknown(reason(error, of: command, granting: right))
    }
  }

  private func reason(_ error: any Error, of command: String, granting right: String? = nil) -> String {
    guard let error = error as? RedisError else {
      return error is CancellationError ? RedisFacts.notAsked : "\(error)"
    }
    guard error.serverCode == "NOPERM" else { return error.serverMessage ?? error.message }
    return "the user \(user) may not use \(command); grant it with ACL SETUSER \(user) +\(right ?? command.lowercased())"
  }

  private static func failure(_ error: any Error) -> RedisError {
    error as? RedisError ?? RedisError(.timedOut, message: "The server did not answer in time.", cause: error)
  }

  private static func identity(of hello: [String: RESPValue]) -> RedisServerFacts.Identity? {
    guard let name = hello["server"]?.string, let version = hello["version"]?.string else { return nil }
    return .init(name: name, version: version)
  }

  private static func identity(of info: [String: String]) -> RedisServerFacts.Identity? {
    info["redis_version"].map { .init(name: "redis", version: $0) }
  }

  private static func role(of reply: RESPValue) -> RedisServerFacts.Role? {
    switch try? RedisRole(reply: reply) {
    case .master: .master
    case .replica(let host, let port, let link, _): .replica(of: "\(host):\(port)", link: link.name)
    case .sentinel: .other("sentinel")
    case nil: nil
    }
  }
}

extension RedisConfiguration.Deployment {
  fileprivate var kind: RedisFacts.Deployment {
    switch self {
    case .standalone: .single
    case .sentinel: .sentinel
    case .cluster: .cluster
    }
  }
}
