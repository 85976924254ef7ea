import ParallaxAPI
import ParallaxConcurrency
import Synchronization

/// The patterns of the node's files, which the node stores at its start and after each reload.
final class ShippedPatterns: Sendable {
  private let patterns: Mutex<[PatternDefinition]>
  /// Signaled when the patterns were replaced.
  let replaced = WakeUp()

  init(_ patterns: [PatternDefinition]) {
    self.patterns = Mutex(patterns)
  }

  var all: [PatternDefinition] { patterns.withLock { $0 } }

  /// Replaces the patterns.
  ///
  /// A pattern whose file is gone stays stored: executions and other nodes may use it.
  /// - Returns: The new and changed ones, each as its name and version.
  func replace(with next: [PatternDefinition]) -> [String] {
    let former = patterns.withLock { patterns in
      defer { patterns = next }
      return patterns
    }
    replaced.signal()
    return next.filter { !former.contains($0) }.map { "\($0.name) \($0.version)" }
  }
}
