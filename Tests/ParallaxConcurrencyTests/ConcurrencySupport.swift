import ParallaxConcurrency
import ParallaxTesting
import Synchronization

/// Runs a body in a task that is cancelled before the body begins.
func whenCancelled<Value: Sendable>(_ body: @escaping @Sendable () async throws -> Value) async -> Result<Value, any Error> {
  let gate = Deferred<Void>()
  let task = Task {
    _ = try? await gate.value()
    precondition(Task.isCancelled)
    return try await body()
  }
  task.cancel()
  return await task.result
}

/// Lets other tasks run until a condition holds; the test's time limit bounds the wait.
func until(_ condition: () -> Bool) async {
  while !condition() { await Task.yield() }
}

/// The error of work that fails by itself.
struct WorkFailure: Error, Equatable {}

/// The instants of events.
final class Record: Sendable {
  private let instants = Mutex<[Duration]>([])

  var all: [Duration] { instants.withLock { $0 } }

  func add(_ clock: ManualClock) {
    instants.withLock { $0.append(clock.now.sinceStart) }
  }
}

/// A number that several tasks change.
final class Counter: Sendable {
  private let number = Atomic(0)

  var value: Int { number.load(ordering: .acquiring) }

  @discardableResult
  func add(_ amount: Int = 1) -> Int {
    number.wrappingAdd(amount, ordering: .acquiringAndReleasing).newValue
  }

  func take() -> Int {
    number.exchange(0, ordering: .acquiringAndReleasing)
  }
}
