import NIOCore

extension ClusterRouter {
  /// How long one server is waited for before the map is looked at again: the slot may have another master by then.
  private static let patience = TimeAmount.milliseconds(200)
  /// How long a slot without a master is waited for before the map is looked at again.
  private static let pause = Duration.milliseconds(50)

  /// What is said before a command that another server has sent here.
  private static let asking = RedisCommand("ASKING")

  // MARK: One command

  /// Sends a command to the master of its first key, and again as far as ``RetryPolicy`` allows.
  nonisolated(nonsending) func send(_ command: RedisCommand) async throws -> RESPValue {
    if let split = MultiKeyCommand(command) { return try split.reply(try await pipeline(split.parts)) }
    let timeout = timeout(of: command)
    let deadline = NIODeadline.now() + timeout
    let slot = command.slot
    guard let connection = node(ofSlot: slot)?.current else {
      return try await sendAgain(command, slot: slot, after: nil, deadline: deadline)
    }
    let outcome = await connection.execute(command, timeout: timeout)
    if case .reply(let value) = outcome {
      if case .error = value { return try await sendAgain(command, slot: slot, after: (outcome, connection), deadline: deadline) }
      return value
    }
    return try await sendAgain(command, slot: slot, after: (outcome, connection), deadline: deadline)
  }

  private nonisolated(nonsending) func sendAgain(
    _ original: RedisCommand, slot: Int?, after first: (CommandOutcome, RedisConnection)?, deadline: NIODeadline
  ) async throws -> RESPValue {
    var command = original
    var policy = RetryPolicy(command, followsRedirections: true)
    var last = first
    while true {
      var asked: RedisNode?
      if let (outcome, source) = last {
        switch policy.judge(outcome, remaining: Duration(deadline - .now()), random: .random(in: 0..<1)) {
        case .reply(let value): return value
        case .fail(let error):
          if !outcome.isReply { askForRefresh() }
          throw error
        case .cancelled: throw CancellationError()
        case .sendSource:
          if let script = command.script { scripts.learn(script) }
          command = command.sendingSource
        case .pause(let pause), .leave(let pause):
          askForRefresh()
          try await Task.sleep(for: pause)
        case .redirect(let redirection, let pause):
          asked = follow(redirection, from: source.endpoint)
          if pause > .zero { try await Task.sleep(for: pause) }
        case .reconnect: askForRefresh()
        }
      }
      do {
        let connection = try await connection(forSlot: slot, asking: asked, before: deadline)
        last = (await execute([command], asking: [asked != nil], on: connection, timeout: deadline - .now())[0], connection)
      } catch let error as RedisError {
        throw policy.unreachable(error)
      }
    }
  }

  private func timeout(of command: RedisCommand) -> TimeAmount {
    TimeAmount(clamping: command.timeout ?? configuration.commandTimeout)
  }

  // MARK: Pipelines

  /// Sends the commands for each master in one write, and those again that ``RetryPolicy`` allows.
  nonisolated(nonsending) func pipeline(_ commands: [RedisCommand]) async throws -> [Result<RESPValue, RedisError>] {
    let deadline = NIODeadline.now() + TimeAmount(clamping: commands.compactMap(\.timeout).max() ?? configuration.commandTimeout)
    var attempt = PipelineAttempt(commands, followsRedirections: true)
    // Where the last redirection of a command leads, by its place among the pending.
    var asked: [Int: RedisNode] = [:]
    while true {
      let (outcomes, sources) = await executeAll(attempt, asked: asked, before: deadline)
      try Task.checkCancellation()
      switch attempt.judge(outcomes, remaining: Duration(deadline - .now()), random: .random(in: 0..<1)) {
      case .done(let results):
        if outcomes.contains(where: { !$0.isReply }) { askForRefresh() }
        return results
      case .cancelled: throw CancellationError()
      case .again(let again):
        for script in again.unknownScripts { scripts.learn(script) }
        asked = [:]
        for (place, item) in attempt.pending.enumerated() {
          if let redirection = item.redirection, let source = sources[redirection.slot] { asked[place] = follow(redirection, from: source) }
        }
        if attempt.pending.contains(where: { $0.redirection == nil }) { askForRefresh() }
        if again.pause > .zero { try await Task.sleep(for: again.pause) }
      }
    }
  }

  /// The commands of a pipeline for one server, by their places.
  private struct Group {
    var places: [Int]
    let slot: Int?
    let asked: RedisNode?
  }

  /// Sends all that is pending; what became of each, and which server each slot was asked at.
  private nonisolated(nonsending) func executeAll(
    _ attempt: PipelineAttempt, asked: [Int: RedisNode], before deadline: NIODeadline
  ) async -> (outcomes: [CommandOutcome], sources: [Int: Endpoint]) {
    let commands = attempt.pending.map(\.command)
    let groups = groups(of: commands, isTransaction: attempt.isTransaction, asked: asked)
    if groups.count == 1 {
      let (outcomes, source) = await execute(groups[0], of: commands, before: deadline)
      return (outcomes, source.map { source in slots(of: groups[0], in: commands).reduce(into: [:]) { $0[$1] = source } } ?? [:])
    }
    return await withTaskGroup(of: (Group, [CommandOutcome], Endpoint?).self) { tasks in
      for group in groups {
        tasks.addTask {
          let (outcomes, source) = await self.execute(group, of: commands, before: deadline)
          return (group, outcomes, source)
        }
      }
      var outcomes = [CommandOutcome](repeating: .failed(.cancelled), count: commands.count)
      var sources: [Int: Endpoint] = [:]
      for await (group, part, source) in tasks {
        for (place, outcome) in zip(group.places, part) { outcomes[place] = outcome }
        for slot in slots(of: group, in: commands) { sources[slot] = source }
      }
      return (outcomes, sources)
    }
  }

  private func slots(of group: Group, in commands: [RedisCommand]) -> [Int] {
    group.places.compactMap { commands[$0].slot }
  }

  private func groups(of commands: [RedisCommand], isTransaction: Bool, asked: [Int: RedisNode]) -> [Group] {
    if isTransaction {
      return [Group(places: Array(commands.indices), slot: commands.lazy.compactMap(\.slot).first, asked: nil)]
    }
    var groups: [Group] = []
    var known: [ObjectIdentifier: Int] = [:]
    let first = commands.lazy.compactMap(\.slot).first
    for (place, command) in commands.enumerated() {
      // A command without keys may go anywhere, so it goes where the others go.
      let slot = command.slot ?? first
      let target = asked[place] ?? node(ofSlot: slot)
      if let target, asked[place] == nil, let index = known[ObjectIdentifier(target)] {
        groups[index].places.append(place)
      } else {
        if let target, asked[place] == nil { known[ObjectIdentifier(target)] = groups.count }
        groups.append(Group(places: [place], slot: slot, asked: asked[place]))
      }
    }
    return groups
  }

  private nonisolated(nonsending) func execute(
    _ group: Group, of commands: [RedisCommand], before deadline: NIODeadline
  ) async -> (outcomes: [CommandOutcome], source: Endpoint?) {
    do {
      let connection = try await connection(forSlot: group.slot, asking: group.asked, before: deadline)
      let part = group.places.map { commands[$0] }
      let asking = [Bool](repeating: group.asked != nil, count: part.count)
      return (await execute(part, asking: asking, on: connection, timeout: deadline - .now()), connection.endpoint)
    } catch {
      let failure: CommandFailure = (error as? RedisError).map { .notSent($0) } ?? .cancelled
      return (Array(repeating: .failed(failure), count: group.places.count), nil)
    }
  }

  // MARK: Leases

  /// A connection for one user, to the master of a key or to any.
  nonisolated(nonsending) func lease(forKey key: String?) async throws -> RedisLeasedConnection {
    let slot = key.map { HashSlot.of($0) }
    let connection = try await connection(
      forSlot: slot, asking: nil, before: .now() + TimeAmount(clamping: configuration.commandTimeout))
    guard let node = node(ofSlot: slot) else { throw Self.withoutMaster(slot) }
    return try await node.lease { self.follow($0, from: connection.endpoint) }
  }

  // MARK: Connections

  /// Waits for a connection to the master of a slot, whichever that is in the end.
  private nonisolated(nonsending) func connection(
    forSlot slot: Int?, asking: RedisNode?, before deadline: NIODeadline
  ) async throws -> RedisConnection {
    if let asking, let connection = try? await asking.connection(before: min(deadline, .now() + Self.patience)) { return connection }
    try Task.checkCancellation()
    while true {
      try await map.value(before: deadline)
      guard let node = node(ofSlot: slot) else {
        askForRefresh()
        if NIODeadline.now() >= deadline { throw Self.withoutMaster(slot) }
        try await Task.sleep(for: Self.pause)
        continue
      }
      do {
        return try await node.connection(before: min(deadline, .now() + Self.patience))
      } catch let error as RedisError {
        askForRefresh()
        let isFinal = !node.hasEnded && error.code != .connectionFailed
        if isFinal || NIODeadline.now() >= deadline { throw error }
        if node.hasEnded { try await Task.sleep(for: Self.pause) }
      }
    }
  }

  private static func withoutMaster(_ slot: Int?) -> RedisError {
    RedisError(
      .connectionFailed,
      message: slot.map { "No master has slot \($0): see CLUSTER INFO for what the cluster lacks." } ?? "The cluster has no master.")
  }

  private nonisolated(nonsending) func execute(
    _ commands: [RedisCommand], asking: [Bool], on connection: RedisConnection, timeout: TimeAmount
  ) async -> [CommandOutcome] {
    if commands.count == 1, asking == [false] { return [await connection.execute(commands[0], timeout: timeout)] }
    // ASKING is for the next command alone, and one write keeps the two together.
    let all = zip(commands, asking).flatMap { command, isAsked in isAsked ? [Self.asking, command] : [command] }
    let outcomes = await connection.execute(all, timeout: timeout).outcomes(of: all.count)
    return zip(all, outcomes).filter { $0.0.name != Self.asking.name }.map(\.1)
  }
}
