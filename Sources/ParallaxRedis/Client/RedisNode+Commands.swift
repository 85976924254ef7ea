import NIOCore

extension RedisNode {
  /// Sends a command on the shared connection, and repeats it as far as ``RetryPolicy`` allows.
  // Inlined, because each asynchronous function costs every command a frame.
  @inline(__always)
  nonisolated(nonsending) func send(_ command: RedisCommand) async throws -> RESPValue {
    let timeout = command.timeout.map(TimeAmount.init(clamping:)) ?? defaultTimeout
    let deadline = NIODeadline.now() + timeout
    guard let connection = current else { return try await sendAgain(command, after: nil, on: nil, deadline: deadline) }
    let outcome = await connection.execute(command, timeout: timeout)
    if case .reply(let value) = outcome {
      if case .error = value { return try await sendAgain(command, after: outcome, on: connection, deadline: deadline) }
      return value
    }
    return try await sendAgain(command, after: outcome, on: connection, deadline: deadline)
  }

  private nonisolated(nonsending) func sendAgain(
    _ original: RedisCommand, after first: CommandOutcome?, on former: RedisConnection?, deadline: NIODeadline
  ) async throws -> RESPValue {
    var connection = former
    var command = original
    var policy = RetryPolicy(command)
    var outcome = first
    while true {
      if let last = outcome {
        switch policy.judge(last, remaining: remaining(until: deadline), random: .random(in: 0..<1)) {
        case .reply(let value): return value
        case .fail(let error): throw error
        case .cancelled: throw CancellationError()
        case .sendSource: command = sendingSource(command)
        case .pause(let pause): try await connector.clock.sleep(for: pause)
        case .leave(let pause):
          if let connection { leave(connection) }
          try await connector.clock.sleep(for: pause)
        case .redirect: preconditionFailure("a policy without redirections returned one")
        case .reconnect: break
        }
      }
      let next = try await self.connection(before: deadline, policy: policy)
      outcome = await next.execute(command, timeout: deadline - .now())
      connection = next
    }
  }

  /// Sends commands in one write, and repeats those that ``RetryPolicy`` allows.
  nonisolated(nonsending) func pipeline(_ commands: [RedisCommand]) async throws -> [Result<RESPValue, RedisError>] {
    let timeout = commands.compactMap(\.timeout).max().map(TimeAmount.init(clamping:)) ?? defaultTimeout
    let deadline = NIODeadline.now() + timeout
    if let connection = current {
      let outcome = await connection.execute(commands, timeout: timeout)
      if outcome.isFlawless { return outcome.results }
      return try await pipelineAgain(commands, after: outcome, on: connection, deadline: deadline)
    }
    return try await pipelineAgain(commands, after: nil, on: nil, deadline: deadline)
  }

  private nonisolated(nonsending) func pipelineAgain(
    _ commands: [RedisCommand], after first: PipelineOutcome?, on former: RedisConnection?, deadline: NIODeadline
  ) async throws -> [Result<RESPValue, RedisError>] {
    var attempt = PipelineAttempt(commands)
    var last = first.flatMap { outcome in former.map { (outcome, $0) } }
    while true {
      if let (outcome, connection) = last {
        let outcomes = outcome.outcomes(of: attempt.pending.count)
        switch attempt.judge(outcomes, remaining: remaining(until: deadline), random: .random(in: 0..<1)) {
        case .done(let results): return results
        case .cancelled: throw CancellationError()
        case .again(let again):
          for script in again.unknownScripts { scripts.learn(script) }
          if again.leavesConnection { leave(connection) }
          if again.pause > .zero { try await connector.clock.sleep(for: again.pause) }
        }
      }
      let connection: RedisConnection
      do {
        connection = try await self.connection(before: deadline)
      } catch let error as RedisError {
        return attempt.giveUp(error)
      }
      last = (await connection.execute(attempt.pending.map(\.command), timeout: deadline - .now()), connection)
    }
  }

  private func remaining(until deadline: NIODeadline) -> Duration {
    Duration(deadline - .now())
  }

  private func sendingSource(_ command: RedisCommand) -> RedisCommand {
    if let script = command.script { scripts.learn(script) }
    return command.sendingSource
  }

  private nonisolated(nonsending) func connection(before deadline: NIODeadline, policy: RetryPolicy) async throws -> RedisConnection {
    do {
      return try await connection(before: deadline)
    } catch let error as RedisError {
      throw policy.unreachable(error)
    }
  }
}
