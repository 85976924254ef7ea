import ParallaxConcurrency
import ServiceLifecycle

/// A service that begins when the node has started, and not at all if the node stops before.
///
/// What works for the cluster needs a store that is there and the node's own; until then one part of the node asks for it, and says what is
/// in the way.
struct AfterStart<Base: Service>: Service {
  let started: Deferred<Void>
  let base: Base

  func run() async throws {
    do {
      try await cancelWhenGracefulShutdown { try await started.value() }
    } catch is CancellationError {
      return
    }
    try await base.run()
  }
}
