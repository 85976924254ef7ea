import NIOCore
import ParallaxConcurrency
import ServiceLifecycle
import Synchronization

/// Watches the event loops: asks each for an answer every second, unless it still owes one.
///
/// A loop that does not answer serves none of its connections, while the others serve theirs.
final class EventLoopWatch: Service {
  static let interval: Duration = .seconds(1)

  private let loops: [any EventLoop]
  private let clock: NodeClock
  /// The instants of the questions without an answer, by loop.
  private let questions: Mutex<[Duration?]>

  /// Makes a watch, which asks from ``run()`` on.
  init(_ group: any EventLoopGroup, clock: NodeClock) {
    let loops = Array(group.makeIterator())
    self.loops = loops
    self.clock = clock
    questions = Mutex(Array(repeating: nil, count: loops.count))
  }

  func run() async throws {
    await cancelWhenGracefulShutdown {
      await every(Self.interval, clock: self.clock.monotonic) { self.ask() }
    }
  }

  /// The longest time for which a loop has owed its answer; zero if none does.
  var longestWait: Duration {
    let first = questions.withLock { $0.compactMap(\.self).min() }
    return first.map { clock.now.instant - $0 } ?? .zero
  }

  private func ask() {
    let now = clock.now.instant
    // One question at a time, so that a stuck loop does not gather them.
    let idle = questions.withLock { questions in
      let idle = questions.indices.filter { questions[$0] == nil }
      for loop in idle { questions[loop] = now }
      return idle
    }
    for loop in idle {
      loops[loop].execute { self.questions.withLock { $0[loop] = nil } }
    }
  }
}
