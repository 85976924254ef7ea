import ParallaxConcurrency
import ServiceLifecycle

/// A service that waits for the node's start, and does not run at all if the node stops before.
///
/// The wrapped service needs a reachable store that belongs to the node's cluster. Until the start only ``NodeLifecycle`` calls the store,
/// and reports why the node is not ready.
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
