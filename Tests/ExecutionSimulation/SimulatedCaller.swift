import ParallaxAPI
import ParallaxState
import ParallaxTesting

/// A caller's request for an execution.
struct SimulatedRequest {
  var number: UInt64
  var pattern: PatternDefinition
  var timeout: Int64
  /// Whether the caller wants the outcome, not only the acknowledgement.
  var waits: Bool
  var key: String?
  /// The work time of an agent in seconds; drawn if nil.
  var work: Double?
}

/// A simulated caller, which repeats a request with an idempotency key until it is answered, and sends any other once.
final class SimulatedCaller {
  /// The answer of a node.
  enum Answer {
    case accepted(String)
    case finished(StoredExecution)
    case refused
  }

  let request: SimulatedRequest
  unowned let world: ExecutionSimulation
  private var attempts: UInt64 = 0
  private var isDone = false
  private let due: Int64
  private(set) var firstID = ""
  /// The final answer; nil while there is none.
  private(set) var answer: Answer?
  /// Whether a node has refused the request.
  private(set) var isRefused = false

  init(_ request: SimulatedRequest, in world: ExecutionSimulation) {
    self.request = request
    self.world = world
    due = world.now + request.timeout
  }

  /// Sends the request to a node, drawn if nil.
  func ask(_ node: SimulatedNode? = nil) {
    guard !isDone else { return }
    attempts += 1
    let attempt = attempts
    var draws = world.chance.draws(.caller, node: Int(request.number), number: attempt)
    guard let node = node ?? world.reachableNode(&draws) else { return repeatLater(attempt) }
    let id = "exec_\(request.number)\(attempt == 1 ? "" : "r\(attempt)")"
    if attempt == 1 { firstID = id }
    world.promises.requested(id, number: request.number, due: world.now + request.timeout)
    world.plan(after: world.travel(1_000, request.number << 8 | attempt)) {
      node.execute(self.request, as: id) { answer in self.answered(answer, attempt) }
    }
    // A node that dies does not answer, and a paused one answers late.
    if request.key != nil { world.plan(after: .seconds(draws.between(5, 30))) { self.repeatLater(attempt) } }
  }

  private func repeatLater(_ attempt: UInt64) {
    guard !isDone, attempt == attempts, request.key != nil, attempts < 20 else { return }
    world.plan(after: .seconds(1)) { if self.attempts == attempt { self.ask() } }
  }

  private func answered(_ answer: Answer, _ attempt: UInt64) {
    switch answer {
    case .accepted(let id): world.acknowledged(id, request, due: due)
    case .finished(let stored):
      world.acknowledged(stored.execution.id, request, due: due)
      world.told(stored)
    case .refused:
      isRefused = true
      return repeatLater(attempt)
    }
    isDone = true
    self.answer = answer
  }
}
