import NIOCore

extension RedisNode {
  /// Sends a command on the shared connection, and again as far as ``RetryPolicy`` allows.
  nonisolated(nonsending) func send(_ command: RedisCommand) async throws -> RESPValue {
    let timeout = command.timeout.map(TimeAmount.init(clamping:)) ?? defaultTimeout
    let deadline = NIODeadline.now() + timeout
    guard let connection = current else { return try await sendAgain(command, after: nil, deadline: deadline) }
    let outcome = await connection.execute(command, timeout: timeout)
    if case .reply(let value) = outcome {
      if case .error = value { return try await sendAgain(command, after: outcome, deadline: deadline) }
      return value
    }
    return try await sendAgain(command, after: outcome, deadline: deadline)
  }

  private nonisolated(nonsending) func sendAgain(
    _ original: RedisCommand, after first: CommandOutcome?, deadline: NIODeadline
  ) async throws -> RESPValue {
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
        case .pause(let pause): try await Task.sleep(for: pause)
        case .reconnect: break
        }
      }
      let connection = try await connection(before: deadline, policy: policy)
      outcome = await connection.execute(command, timeout: deadline - .now())
    }
  }

  /// Sends commands in one write, and those again that ``RetryPolicy`` allows.
  nonisolated(nonsending) func pipeline(_ commands: [RedisCommand]) async throws -> [Result<RESPValue, RedisError>] {
    let timeout = commands.compactMap(\.timeout).max().map(TimeAmount.init(clamping:)) ?? defaultTimeout
    let deadline = NIODeadline.now() + timeout
    var attempt = PipelineAttempt(commands)
    while true {
      let connection: RedisConnection
      do {
        connection = try await self.connection(before: deadline)
      } catch let error as RedisError {
        return attempt.giveUp(error)
      }
      let outcome = await connection.execute(attempt.commands, timeout: deadline - .now())
      switch attempt.judge(outcome, remaining: remaining(until: deadline), random: .random(in: 0..<1)) {
      case .done(let results): return results
      case .cancelled: throw CancellationError()
      case .again(let pause, let unknown):
        for script in unknown { learn(script) }
        if pause > .zero { try await Task.sleep(for: pause) }
      }
    }
  }

  private func remaining(until deadline: NIODeadline) -> Duration {
    Duration(deadline - .now())
  }

  private func sendingSource(_ command: RedisCommand) -> RedisCommand {
    if let script = command.script { learn(script) }
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
