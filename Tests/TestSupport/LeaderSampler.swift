import Foundation

/// Polls the leadership of all nodes, and detects two leaders at one time.
///
/// Answers of two nodes are never simultaneous. But a node that reports the same term twice in a row has led from the end of the first
/// request to the beginning of the second, because a lost term never returns. Two overlapping spans of different nodes are two leaders.
package actor LeaderSampler {
  private struct Sample {
    var term: String?
    var began: ContinuousClock.Instant
    var ended: ContinuousClock.Instant
  }

  private struct Span {
    var node: Int
    var term: String
    var from: ContinuousClock.Instant
    var to: ContinuousClock.Instant
  }

  private var last: [Int: Sample] = [:]
  private var spans: [Span] = []
  /// The number of rounds.
  package private(set) var rounds = 0
  /// The greatest sum of `parallax_ha_is_leader` in any round.
  package private(set) var greatestSum = 0

  /// Samples every 20 ms during the body; returns the body's result and the sampler.
  package static func sampling<Result: Sendable>(
    _ nodes: [ParallaxdProcess], while body: @Sendable () async throws -> Result
  ) async throws -> (Result, LeaderSampler) {
    let sampler = LeaderSampler()
    let result = try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { await sampler.run(nodes) }
      defer { group.cancelAll() }
      return try await body()
    }
    return (result, sampler)
  }

  /// Descriptions of the overlapping spans of different nodes.
  package var overlaps: [String] {
    let sorted = spans.sorted { $0.from < $1.from }
    return sorted.indices.flatMap { index in
      let first = sorted[index]
      return sorted[(index + 1)...].prefix { $0.from < first.to }.filter { $0.node != first.node }.map { second in
        "nodes \(first.node) (term \(first.term)) and \(second.node) (term \(second.term)) at once"
      }
    }
  }

  /// The longest time without an observed leader, between two observed ones.
  package var longestGap: Duration {
    let sorted = spans.sorted { $0.from < $1.from }
    return zip(sorted, sorted.dropFirst()).map { $0.to.duration(to: $1.from) }.max() ?? .zero
  }

  private func run(_ nodes: [ParallaxdProcess]) async {
    while !Task.isCancelled {
      await withTaskGroup(of: (Int, Sample?).self) { group in
        for (index, node) in nodes.enumerated() { group.addTask { (index, await Self.sample(node)) } }
        var sum = 0
        for await (index, sample) in group {
          note(sample, of: index)
          if sample?.term != nil { sum += 1 }
        }
        greatestSum = max(greatestSum, sum)
        rounds += 1
      }
      try? await Task.sleep(for: .milliseconds(20))
    }
  }

  private func note(_ sample: Sample?, of node: Int) {
    defer { last[node] = sample }
    guard let sample, let term = sample.term, let former = last[node], former.term == term else { return }
    spans.append(Span(node: node, term: term, from: former.ended, to: sample.began))
  }

  private static func sample(_ node: ParallaxdProcess) async -> Sample? {
    var api = node.api
    api.timeout = .milliseconds(500)
    let began = ContinuousClock.now
    guard let text = try? await api.get("/metrics").text else { return nil }
    let leads = text.contains(/parallax_ha_is_leader\{node="[^"]*"\} 1/)
    let term = text.firstMatch(of: /\nparallax_ha_term ([0-9.e+]+)/).map { String($0.1) }
    return Sample(term: leads ? term : nil, began: began, ended: .now)
  }
}
