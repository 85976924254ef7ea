import NIOCore
import Synchronization

extension ClusterRouter {
  /// Sends the commands for each master in one write, and repeats those that ``RetryPolicy`` allows.
  nonisolated(nonsending) func pipeline(_ commands: [RedisCommand]) async throws -> [Result<RESPValue, RedisError>] {
    let timeout = TimeAmount(clamping: commands.compactMap(\.timeout).max() ?? configuration.commandTimeout)
    let deadline = NIODeadline.now() + timeout
    let way = Way(slots: commands.map(\.slot), isTransaction: PipelineAttempt.isTransaction(commands))
    let groups = groups(way)
    guard groups.count == 1, let connection = groups[0].node?.current else {
      let attempts = await executeAll(commands, way, before: deadline)
      return try await pipelineAgain(commands, after: attempts, deadline: deadline)
    }
    let outcome = await connection.execute(commands, timeout: timeout)
    if outcome.isFlawless { return outcome.results }
    let attempts = outcome.outcomes(of: commands.count).map { Attempted(outcome: $0, source: connection.endpoint) }
    return try await pipelineAgain(commands, after: attempts, deadline: deadline)
  }

  private nonisolated(nonsending) func pipelineAgain(
    _ commands: [RedisCommand], after first: [Attempted], deadline: NIODeadline
  ) async throws -> [Result<RESPValue, RedisError>] {
    var attempt = PipelineAttempt(commands, followsRedirections: true)
    var attempts = first
    while true {
      try Task.checkCancellation()
      let outcomes = attempts.map(\.outcome)
      if outcomes.contains(where: \.questionsMap) { askForRefresh() }
      switch attempt.judge(outcomes, remaining: Duration(deadline - .now()), random: .random(in: 0..<1)) {
      case .done(let results): return results
      case .cancelled: throw CancellationError()
      case .again(let again):
        for script in again.unknownScripts { scripts.learn(script) }
        let way = follow(attempt, after: attempts)
        if again.pause > .zero { try await connector.clock.sleep(for: again.pause) }
        attempts = await executeAll(attempt.pending.map(\.command), way, before: deadline)
      }
    }
  }

  /// The outcome of a command at a server; the server is `nil` if it had no connection.
  private struct Attempted {
    var outcome: CommandOutcome
    var source: Endpoint?
  }

  /// Applies the redirections of an attempt.
  private func follow(_ attempt: PipelineAttempt, after attempts: [Attempted]) -> Way {
    var sources: [Redirection: Endpoint] = [:]
    for attempted in attempts {
      guard case .reply(let value) = attempted.outcome, let redirection = value.errorMessage.flatMap({ Redirection($0) }) else { continue }
      sources[redirection] = attempted.source
    }
    var way = Way(slots: [], isTransaction: attempt.isTransaction)
    for (place, item) in attempt.pending.enumerated() {
      // The server knows the command's key better than the client's table.
      way.slots.append(item.redirection?.slot ?? item.command.slot)
      guard let redirection = item.redirection, let source = sources[redirection] else { continue }
      way.asked[place] = follow(redirection, from: source)
    }
    return way
  }

  // MARK: One attempt

  /// The routing of a pipeline's commands.
  private struct Way {
    var slots: [Int?]
    /// The nodes for redirected commands, once each, by the commands' places.
    var asked: [Int: RedisNode] = [:]
    let isTransaction: Bool
  }

  /// The commands of a pipeline for one server.
  private struct Group {
    /// The server; `nil` if the slot has no master.
    let node: RedisNode?
    /// The slot of the group's first command.
    let slot: Int?
    /// The places of the commands in the pipeline.
    var places: [Int] = []
    /// Whether each command was redirected here with ASK.
    var asking: [Bool] = []
  }

  /// The groups of commands by server, each in order.
  private func groups(_ way: Way) -> [Group] {
    let first = way.slots.lazy.compactMap { $0 }.first
    if way.isTransaction {
      let asking = [Bool](repeating: false, count: way.slots.count)
      return [Group(node: node(ofSlot: first), slot: first, places: Array(way.slots.indices), asking: asking)]
    }
    return state.withLock { state in
      var groups: [Group] = []
      var byNode: [ObjectIdentifier: Int] = [:]
      // Commands without a master wait in one group per slot.
      var bySlot: [Int?: Int] = [:]
      for (place, slot) in way.slots.enumerated() {
        // Any server can execute a command without keys, so it joins the group of the first slot.
        let slot = slot ?? first
        let node = way.asked[place] ?? Self.node(ofSlot: slot, &state)
        let index = (node.map { byNode[ObjectIdentifier($0)] } ?? bySlot[slot]) ?? groups.count
        if index == groups.count {
          groups.append(Group(node: node, slot: slot))
          if let node { byNode[ObjectIdentifier(node)] = index } else { bySlot[slot] = index }
        }
        groups[index].places.append(place)
        groups[index].asking.append(way.asked[place] != nil)
      }
      return groups
    }
  }

  /// Sends all commands; returns the outcome of each.
  private nonisolated(nonsending) func executeAll(_ commands: [RedisCommand], _ way: Way, before deadline: NIODeadline) async -> [Attempted]
  {
    do {
      try await map.value(before: deadline)
    } catch {
      return Self.failed(error, count: commands.count)
    }
    let groups = groups(way)
    if groups.count == 1 { return await execute(groups[0], of: commands, before: deadline) }
    return await withTaskGroup(of: (Group, [Attempted]).self) { tasks in
      for group in groups { tasks.addTask { (group, await self.execute(group, of: commands, before: deadline)) } }
      var all = [Attempted](repeating: Attempted(outcome: .failed(.cancelled)), count: commands.count)
      for await (group, attempts) in tasks {
        for (place, attempted) in zip(group.places, attempts) { all[place] = attempted }
      }
      return all
    }
  }

  private nonisolated(nonsending) func execute(
    _ group: Group, of commands: [RedisCommand], before deadline: NIODeadline
  ) async -> [Attempted] {
    do {
      let asked = group.asking.contains(true) ? group.node : nil
      let connection = try await connection(forSlot: group.slot, asking: asked, before: deadline)
      // ASKING applies to the next command only, and one write keeps the two together.
      let sent = zip(group.places, group.asking).flatMap { place, isAsking in isAsking ? [.asking, commands[place]] : [commands[place]] }
      let outcomes = await connection.execute(sent, timeout: deadline - .now()).outcomes(of: sent.count)
      var index = -1
      return group.asking.map { isAsking in
        index += isAsking ? 2 : 1
        return Attempted(outcome: outcomes[index], source: connection.endpoint)
      }
    } catch {
      return Self.failed(error, count: group.places.count)
    }
  }

  private static func failed(_ error: any Error, count: Int) -> [Attempted] {
    let failure: CommandFailure = (error as? RedisError).map { .unreachable($0) } ?? .cancelled
    return Array(repeating: Attempted(outcome: .failed(failure)), count: count)
  }
}
