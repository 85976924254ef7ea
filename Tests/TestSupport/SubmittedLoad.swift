import Foundation
import ParallaxAPI

/// Callers that submit executions repeatedly to all nodes in turn, and record the acknowledgements.
package actor SubmittedLoad {
  /// An execution that a node has accepted.
  package struct Acknowledged: Sendable {
    package let id: String
    package let time: ContinuousClock.Instant
  }

  private let nodes: [ParallaxdProcess]
  private let pattern: String
  private var turn = 0
  /// The acknowledged executions, in order.
  package private(set) var acknowledged: [Acknowledged] = []
  /// The number of failures, by status and code of the error, or by the error of the connection.
  package private(set) var refused: [String: Int] = [:]

  package init(_ nodes: [ParallaxdProcess], pattern: String) {
    self.nodes = nodes
    self.pattern = pattern
  }

  /// Keeps `callers` busy during the body.
  package func run<Result: Sendable>(callers: Int, while body: @Sendable () async throws -> Result) async throws -> Result {
    try await withThrowingTaskGroup(of: Void.self) { group in
      for caller in 0..<callers { group.addTask { await self.submitAgainAndAgain(caller) } }
      defer { group.cancelAll() }
      return try await body()
    }
  }

  private func submitAgainAndAgain(_ caller: Int) async {
    var number = 0
    while !Task.isCancelled {
      number += 1
      turn += 1
      let node = nodes[turn % nodes.count]
      do {
        let request = ExecuteRequest(input: ["text": .string("caller \(caller), call \(number)")])
        let response = try await node.api.post("/api/patterns/\(pattern)/execute?async=true", request)
        if response.status == 202 {
          let accepted: ExecutionAcceptance = try response.decode()
          acknowledged.append(.init(id: accepted.executionId, time: .now))
        } else {
          let code = response.text.firstMatch(of: /"code":"([A-Z_]+)"/).map { String($0.1) } ?? response.text
          refused["\(response.status) \(code)", default: 0] += 1
          try? await Task.sleep(for: .milliseconds(20))
        }
      } catch {
        if !Task.isCancelled { refused["\(error)", default: 0] += 1 }
      }
    }
  }
}
