import Logging
import ParallaxHA
import ParallaxTesting
import UnitTestingYourService

/// Nodes of the service over one store and one manual clock.
final class Bench: Sendable {
  struct Import: Sendable {
    var node: Int
    var fencingToken: FencingToken
  }

  typealias Store = FaultInjectingElectionStore<InMemoryElectionStore>

  let clock: ManualClock
  let stores: [Store]
  let elections: [LeaderElection<Store, ManualClock>]
  /// The imports that have begun, and the nodes whose import was cancelled.
  let imports = Events<Import>()
  let cancellations = Events<Int>()
  private let services: [Importer<Store, ManualClock>]

  init(nodes: Int, importsUntilCancelled: Bool = false) {
    let (clock, memory) = (ManualClock(), InMemoryElectionStore())
    let quiet = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    stores = (0..<nodes).map { _ in Store(memory) }
    elections = stores.enumerated().map { index, store in
      LeaderElection(store: store, session: .starting(nodeID: "node-\(index)"), clock: clock, logger: quiet)
    }
    services = elections.enumerated().map { [imports, cancellations] index, election in
      Importer(election: election, clock: clock) { token in
        imports.add(Import(node: index, fencingToken: token))
        guard importsUntilCancelled else { return }
        for await _ in AsyncStream<Never>.makeStream().stream {}
        cancellations.add(index)
      }
    }
    self.clock = clock
  }

  /// Runs the services during a body.
  func run(_ body: () async throws -> Void) async throws {
    try await withThrowingTaskGroup(of: Void.self) { group in
      for service in services {
        group.addTask { do { try await service.run() } catch is CancellationError {} }
      }
      try await body()
      group.cancelAll()
      // A node whose store does not answer leaves after two time-outs.
      try await clock.advance { try await group.waitForAll() }
    }
  }

  /// Moves the time, and lets every node do its due work in time.
  func pass(_ duration: Duration) async {
    await clock.advance(by: duration, with: elections)
  }
}

/// Events that a test awaits one after the other.
final class Events<Event: Sendable>: Sendable {
  private let stream: AsyncStream<Event>
  private let continuation: AsyncStream<Event>.Continuation

  init() { (stream, continuation) = AsyncStream.makeStream() }

  func add(_ event: Event) { continuation.yield(event) }

  func next() async -> Event? {
    var iterator = stream.makeAsyncIterator()
    return await iterator.next()
  }
}
