import Foundation
import ParallaxAPI

/// Callers that execute a pattern repeatedly behind a load balancer, which polls the readiness of all nodes, sends to the ready ones in
/// turn, and tries the next node if a connection fails.
package actor BalancedLoad {
  private let nodes: [ParallaxdProcess]
  private let pattern: String
  private var ready: Set<Int>
  private var turn = 0
  /// The number of calls that ended with a completed execution.
  package private(set) var completed = 0
  /// The failures of all other calls.
  package private(set) var failures: [String] = []
  /// The duration of the slowest call.
  package private(set) var slowest: Duration = .zero

  package init(_ nodes: [ParallaxdProcess], pattern: String) {
    self.nodes = nodes
    self.pattern = pattern
    ready = Set(nodes.indices)
  }

  /// Keeps `callers` busy during the body, then lets each finish its call.
  package func run(callers: Int, while body: @escaping @Sendable () async throws -> Void) async throws {
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { await self.watchReadiness() }
      let calls = Task { await self.call(callers) }
      defer { group.cancelAll() }
      do {
        try await body()
      } catch {
        calls.cancel()
        throw error
      }
      calls.cancel()
      await calls.value
    }
  }

  private func call(_ callers: Int) async {
    await withTaskGroup(of: Void.self) { group in
      for caller in 0..<callers {
        group.addTask {
          var number = 0
          while !Task.isCancelled {
            number += 1
            await self.callOnce("caller \(caller), call \(number)")
          }
        }
      }
    }
  }

  private func callOnce(_ text: String) async {
    let began = ContinuousClock.now
    // Cancellation ends the series of calls, not a call that has begun.
    let outcome = await Task { await self.execute(text) }.value
    slowest = max(slowest, began.duration(to: .now))
    if let outcome { failures.append(outcome) } else { completed += 1 }
  }

  /// The failure of a call; nil if it succeeded.
  private func execute(_ text: String) async -> String? {
    var refusals: [String] = []
    for _ in nodes {
      let node = nextNode()
      do {
        let response = try await nodes[node].api.post("/api/patterns/\(pattern)/execute", ExecuteRequest(input: ["text": .string(text)]))
        guard response.status == 200 else { return "node \(node): \(response.status) \(response.text)" }
        let document: ExecutionDocument = try response.decode()
        return document.status == .completed ? nil : "node \(node): \(response.text)"
      } catch  where "\(error)".contains("onnect") {
        // The request was not sent, so another node may get it.
        refusals.append("node \(node): \(error)")
        ready.remove(node)
      } catch {
        return "node \(node): \(error)"
      }
    }
    return refusals.joined(separator: "; ")
  }

  private func nextNode() -> Int {
    for _ in nodes {
      turn = (turn + 1) % nodes.count
      if ready.contains(turn) { return turn }
    }
    return turn
  }

  private func watchReadiness() async {
    while !Task.isCancelled {
      for (index, node) in nodes.enumerated() {
        var api = node.api
        api.timeout = .milliseconds(500)
        if (try? await api.get("/health/ready").status) == 200 { ready.insert(index) } else { ready.remove(index) }
      }
      try? await Task.sleep(for: .milliseconds(100))
    }
  }
}
