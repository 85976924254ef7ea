import NIOCore

extension ClusterRouter {
  /// Sends a command to the master of its first key, and repeats it as far as ``RetryPolicy`` allows.
  nonisolated(nonsending) func send(_ command: RedisCommand) async throws -> RESPValue {
    if let split = MultiKeyCommand(command) { return try split.reply(try await pipeline(split.parts)) }
    let timeout = TimeAmount(clamping: command.timeout ?? configuration.commandTimeout)
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
    var slot = slot
    var policy = RetryPolicy(command, followsRedirections: true)
    var last = first
    while true {
      var asked: RedisNode?
      if let (outcome, source) = last {
        if outcome.questionsMap { askForRefresh() }
        switch policy.judge(outcome, remaining: Duration(deadline - .now()), random: .random(in: 0..<1)) {
        case .reply(let value): return value
        case .fail(let error): throw error
        case .cancelled: throw CancellationError()
        case .sendSource:
          if let script = command.script { scripts.learn(script) }
          command = command.sendingSource
        case .pause(let pause), .leave(let pause): try await connector.clock.sleep(for: pause)
        case .redirect(let redirection, let pause):
          asked = follow(redirection, from: source.endpoint)
          // The server knows the command's key better than the client's table.
          slot = redirection.slot
          if pause > .zero { try await connector.clock.sleep(for: pause) }
        case .reconnect: break
        }
      }
      do {
        let connection = try await connection(forSlot: slot, asking: asked, before: deadline)
        last = (await execute(command, isAsking: asked != nil, on: connection, timeout: deadline - .now()), connection)
      } catch let error as RedisError {
        throw policy.unreachable(error)
      }
    }
  }

  private nonisolated(nonsending) func execute(
    _ command: RedisCommand, isAsking: Bool, on connection: RedisConnection, timeout: TimeAmount
  ) async -> CommandOutcome {
    guard isAsking else { return await connection.execute(command, timeout: timeout) }
    return await connection.execute([.asking, command], timeout: timeout).outcomes(of: 2)[1]
  }
}

extension RedisCommand {
  /// The command that must precede a command redirected with ASK.
  static let asking = RedisCommand("ASKING")
}

extension CommandOutcome {
  /// Whether the outcome is a reason to refresh the map: the slot has another master, or will soon have one.
  var questionsMap: Bool {
    switch self {
    case .failed(.notSent), .failed(.unreachable), .failed(.lost), .failed(.timedOut): true
    case .failed(.cancelled), .failed(.overloaded): false
    case .reply(let value):
      value.errorMessage.map { ["CLUSTERDOWN", "MASTERDOWN", "READONLY", "LOADING"].contains(RedisServerCode.of($0)) } ?? false
    }
  }
}
