import ParallaxAPI
import ParallaxServer
import ParallaxState
import Testing

@testable import ParallaxControlPlane

/// Repeats of a request under an idempotency key, and cancellations.
@Suite(.timeLimit(.minutes(1))) struct ControlPlaneTests {
  private static let agentless = AgentRequirement(capabilities: ["nobody-has-it"])

  private let parts: NodeParts
  private let controlPlane: ControlPlane

  init() async throws {
    parts = try NodeParts()
    controlPlane = try parts.assembly.makeControlPlane()
    for (name, version) in [("one", "1.0.0"), ("one", "2.0.0"), ("two", "1.0.0")] {
      _ = try await parts.assembly.patterns.put(PatternDefinition(name: name, version: version, agents: Self.agentless))
    }
  }

  private func execute(
    _ pattern: String = "one", _ version: String? = "1.0.0", input: JSONValue = 1, key: String = "key", isAsync: Bool = true
  ) async throws -> ExecutionAcceptance? {
    let request = ExecuteRequest(input: input, options: ExecuteRequest.Options(idempotencyKey: key))
    let answer = try await controlPlane.execute(pattern: pattern, version: version, request: request, isAsync: isAsync)
    guard case .accepted(let acceptance) = answer else { return nil }
    return acceptance
  }

  /// The code of the error that a call throws.
  private func refusal(_ call: () async throws -> ExecutionAcceptance?) async throws -> APIError.Code? {
    do {
      _ = try await call()
      return nil
    } catch let error as APIError {
      return error.code
    }
  }

  @Test func `A key stands for a pattern, its version and a request`() async throws {
    try await parts.running {
      let first = try await execute()
      #expect(first != nil)
      #expect(try await execute()?.executionId == first?.executionId)
      #expect(try await refusal { try await execute("two") } == .conflict)
      #expect(try await refusal { try await execute("one", "2.0.0") } == .conflict)
      #expect(try await refusal { try await execute("one", nil) } == .conflict)
      #expect(try await refusal { try await execute(input: 2) } == .conflict)
      #expect(try await execute(key: "another")?.executionId != first?.executionId)
    }
  }

  @Test func `A repeat runs nothing again after the removal of its execution`() async throws {
    try await parts.running {
      let id = try #require(try await execute()?.executionId)
      _ = try await controlPlane.cancelExecution(id: id)
      let future = parts.assembly.clock.now.wall + .seconds(60)
      #expect(try await parts.backend.state.removeExecutions(createdBefore: future, maxRetained: 0, limit: 10) == 1)
      #expect(try await execute() == ExecutionAcceptance(executionId: id, status: .cancelled))
      #expect(try await refusal { try await execute(isAsync: false) } == .conflict)
    }
  }

  @Test func `A cancellation at a former owner waits for the owner`() async throws {
    try await parts.running {
      let state = parts.backend.state
      let id = try #require(try await execute()?.executionId)
      let claimed = try await state.claim(id, from: parts.assembly.session, isGone: false, to: NodeParts.other)
      let execution = try #require(claimed?.execution)
      async let answer = controlPlane.cancelExecution(id: id)
      var change = ExecutionChange(
        id: id, owner: NodeParts.other, epoch: execution.epoch, revision: execution.revision + 1, recordings: execution.recordings)
      change.status = .cancelled
      #expect(try await state.update(change) == .applied)
      #expect(try await answer.status == .cancelled)
    }
  }

  /// The node died between the claim of the key and the creation.
  @Test func `A repeat creates an execution that was claimed and never created`() async throws {
    try await parts.running {
      let state = parts.backend.state
      _ = try await execute()
      guard case .existing(_, let digest) = try await state.claimIdempotencyKey("key", executionID: "exec_x", digest: "") else {
        Issue.record("the key is not claimed")
        return
      }
      #expect(try await state.claimIdempotencyKey("half", executionID: "exec_half", digest: digest) == .claimed)
      #expect(try await execute(key: "half")?.executionId == "exec_half")
      #expect(try await state.execution("exec_half")?.execution.status == .pending)
    }
  }

  private func refusalOfRetry(_ id: String) async throws -> APIError.Code? {
    try await refusal {
      _ = try await controlPlane.retryExecution(id: id)
      return nil
    }
  }

  @Test func `A retry runs the same request anew`() async throws {
    try await parts.running {
      let options = ExecuteRequest.Options(timeout: .seconds(7), priority: .high, metadata: ["for": "me"], idempotencyKey: "key")
      let answer = try await controlPlane.execute(
        pattern: "one", version: "1.0.0", request: ExecuteRequest(input: ["a": 1], options: options), isAsync: true)
      guard case .accepted(let acceptance) = answer else {
        Issue.record("expected an acknowledgement")
        return
      }
      let id = acceptance.executionId
      #expect(try await refusalOfRetry(id) == .conflict, "it still waits")
      _ = try await controlPlane.cancelExecution(id: id)
      let retry = try await controlPlane.retryExecution(id: id)
      #expect(retry.originalExecutionId == id && retry.newExecutionId != id && retry.status == .pending)
      let repetition = try #require(try await parts.backend.state.execution(retry.newExecutionId)?.execution)
      #expect(repetition.pattern.name == "one" && repetition.pattern.version == "1.0.0")
      #expect(repetition.input == ["a": 1] && repetition.priority == .high && repetition.metadata == ["for": "me"])
      #expect(repetition.deadline - repetition.createdAt == .seconds(7), "the time-out counts anew")
      #expect(repetition.idempotencyKey == nil, "the key stays with the first execution")
      #expect(try await refusalOfRetry("exec_none") == .notFound)
    }
  }
}
