import ParallaxAPI
import ParallaxConcurrency
import Synchronization

/// The patterns of the node's files, which the node stores at its start and after each reload.
final class ShippedPatterns: Sendable {
  private struct State {
    var all: [PatternDefinition]
    /// Those of a reload that are not stored yet.
    var changed: [PatternDefinition] = []
  }

  private let state: Mutex<State>
  /// Signaled when a reload has brought new or changed patterns.
  let replaced = WakeUp()

  init(_ patterns: [PatternDefinition]) {
    state = Mutex(State(all: patterns))
  }

  var all: [PatternDefinition] { state.withLock { $0.all } }

  /// The new and changed patterns that are not stored yet.
  var changed: [PatternDefinition] { state.withLock { $0.changed } }

  /// Records that a pattern is stored.
  func stored(_ pattern: PatternDefinition) {
    state.withLock { state in state.changed.removeAll { $0 == pattern } }
  }

  /// Replaces the patterns.
  ///
  /// A pattern whose file is gone stays stored: executions and other nodes may use it. One whose file is the same is not stored again,
  /// since a request may have changed it.
  /// - Returns: The new and changed ones, each as its name and version.
  func replace(with next: [PatternDefinition]) -> [String] {
    let changed = state.withLock { state in
      let changed = next.filter { !state.all.contains($0) }
      state.all = next
      state.changed = state.changed.filter(next.contains) + changed
      return changed
    }
    if !changed.isEmpty { replaced.signal() }
    return changed.map { "\($0.name) \($0.version)" }
  }
}
