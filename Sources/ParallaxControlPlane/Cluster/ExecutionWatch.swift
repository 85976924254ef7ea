import ParallaxConcurrency
import ParallaxHA
import ParallaxState
import Synchronization

/// Waits for executions that other nodes drive; ``ExecutionWait`` decides each step.
final class ExecutionWatch: Sendable {
  private struct State {
    var lastID: UInt64 = 0
    var waits: [String: [UInt64: WakeUp]] = [:]
    var isReleasing = false
  }

  private let store: any StateStore
  private let session: NodeSession
  private let clock: NodeClock
  private let send: @Sendable (NodeMessage, NodeSession) -> Void
  private let state = Mutex(State())

  /// Makes a watch without waits.
  ///
  /// - Parameters:
  ///   - store: The store to read executions from.
  ///   - session: This node.
  ///   - clock: The node's clock.
  ///   - send: Sends a message to another node.
  init(
    store: any StateStore, session: NodeSession, clock: NodeClock, send: @escaping @Sendable (NodeMessage, NodeSession) -> Void
  ) {
    self.store = store
    self.session = session
    self.clock = clock
    self.send = send
  }

  /// Has the waits for an execution that may have ended read it now.
  func ended(_ id: String) {
    for wakeUp in state.withLock({ $0.waits[id].map { Array($0.values) } ?? [] }) { wakeUp.signal() }
  }

  /// Ends every wait, present and future, because the node stops.
  func release() {
    let wakeUps = state.withLock { state in
      state.isReleasing = true
      return state.waits.values.flatMap(\.values)
    }
    for wakeUp in wakeUps { wakeUp.signal() }
  }

  /// Waits until an execution has ended.
  ///
  /// - Parameters:
  ///   - id: The execution.
  ///   - limit: The longest wait.
  ///   - request: A message for the owner, repeated for each new owner.
  ///   - driving: Waits for the execution at this node; returns nil if this node does not drive it.
  /// - Returns: The execution; nil if the store does not have it, the limit has passed, the node stops or the task is cancelled.
  /// - Throws: The store's error at the first read; later errors lead to another read.
  func end(
    of id: String, within limit: Duration, asking request: NodeMessage? = nil, driving: @Sendable () async -> Resolution?
  ) async throws -> StoredExecution? {
    let wakeUp = WakeUp()
    let waiter = add(wakeUp, for: id)
    defer { remove(waiter, for: id) }
    var wait = ExecutionWait(for: id, at: session, request: request, until: clock.now.instant + limit)
    while !isReleasing {
      let reading = await read(id)
      if Task.isCancelled { return nil }
      switch wait.read(reading, at: clock.now.instant) {
      case .end(let stored): return stored
      case .fail(let error): throw error
      case .attach: if case .finished(let stored)? = await driving() { return stored }
      case .ask(let messages, let owner): for message in messages { send(message, owner) }
      case .pause: break
      }
      guard let next = wait.nextRead(after: clock.now.instant) else { return nil }
      do { _ = try await wakeUp.wait(until: .init(sinceOrigin: next), on: clock.monotonic) } catch { return nil }
    }
    return nil
  }

  private func read(_ id: String) async -> ExecutionWait.Reading {
    do { return try await store.execution(id).map { .found($0) } ?? .missing } catch { return .failed(error) }
  }

  private var isReleasing: Bool { state.withLock { $0.isReleasing } }

  private func add(_ wakeUp: WakeUp, for id: String) -> UInt64 {
    state.withLock { state in
      state.lastID += 1
      state.waits[id, default: [:]][state.lastID] = wakeUp
      return state.lastID
    }
  }

  private func remove(_ waiter: UInt64, for id: String) {
    state.withLock { state in
      state.waits[id]?[waiter] = nil
      if state.waits[id]?.isEmpty == true { state.waits[id] = nil }
    }
  }
}
