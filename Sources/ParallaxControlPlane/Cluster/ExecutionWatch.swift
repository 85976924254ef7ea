import ParallaxAPI
import ParallaxHA
import ParallaxState
import Synchronization

/// Waits for executions that other nodes drive.
///
/// The owner is asked to tell when the execution ends; since it may die, and the message be lost, the store is looked at again at times
/// too.
final class ExecutionWatch: Sendable {
  private struct State {
    var lastID: UInt64 = 0
    var waiting: [String: [UInt64: AsyncStream<Void>.Continuation]] = [:]
    var isReleasing = false
  }

  /// How often the store is looked at while no message comes.
  private static let lookInterval: Duration = .seconds(1)

  private let store: any StateStore
  private let session: NodeSession
  private let tell: @Sendable (NodeMessage, NodeSession) -> Void
  private let state = Mutex(State())

  init(store: any StateStore, session: NodeSession, tell: @escaping @Sendable (NodeMessage, NodeSession) -> Void) {
    self.store = store
    self.session = session
    self.tell = tell
  }

  /// An execution has ended, or may have.
  func ended(_ id: String) {
    for continuation in state.withLock({ $0.waiting[id].map { Array($0.values) } ?? [] }) { continuation.yield() }
  }

  /// Ends every wait, now and from now on: the node stops.
  func release() {
    let all = state.withLock { state in
      state.isReleasing = true
      return state.waiting.values.flatMap(\.values)
    }
    for continuation in all { continuation.yield() }
  }

  private var isReleasing: Bool { state.withLock { $0.isReleasing } }

  /// Returns an execution when it has ended; nil when it is not in the store, `limit` is over, the node stops or the task is cancelled.
  ///
  /// `asking` is what the owner is asked for besides, again at each look, as an owner may be lost before it does it. Throws what the store
  /// throws at the first look; later failures are waited out.
  func end(
    of id: String, within limit: Duration, asking request: NodeMessage? = nil, driving: @Sendable () async -> Resolution?
  ) async throws -> StoredExecution? {
    let (news, continuation) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
    let waiter = state.withLock { state in
      state.lastID += 1
      state.waiting[id, default: [:]][state.lastID] = continuation
      return state.lastID
    }
    defer {
      state.withLock { state in
        state.waiting[id]?[waiter] = nil
        if state.waiting[id]?.isEmpty == true { state.waiting[id] = nil }
      }
    }
    let deadline = ContinuousClock.now + limit
    var isFirst = true
    while !isReleasing, !Task.isCancelled {
      do {
        guard let stored = try await store.execution(id) else { return nil }
        if stored.execution.status.isTerminal { return stored }
        let owner = stored.execution.owner
        if owner == session {
          if case .finished(let stored)? = await driving() { return stored }
        } else {
          if let request { tell(request, owner) }
          tell(.watch(execution: id, watcher: session), owner)
        }
      } catch {
        if isFirst { throw error }
      }
      isFirst = false
      let left = ContinuousClock.now.duration(to: deadline)
      guard left > .zero else { return nil }
      await Self.wait(for: news, atMost: min(left, Self.lookInterval))
    }
    return nil
  }

  private static func wait(for news: AsyncStream<Void>, atMost limit: Duration) async {
    await withTaskGroup(of: Void.self) { group in
      group.addTask {
        var iterator = news.makeAsyncIterator()
        _ = await iterator.next()
      }
      group.addTask { try? await Task.sleep(for: limit) }
      await group.next()
      group.cancelAll()
    }
  }
}
