import Logging
import ParallaxState
import Synchronization

/// What log and metrics say of the store's answers: each state once, and one line for many of a kind.
final class StoreReports: Sendable {
  private struct State {
    /// Executions whose changes the store refused since they have another owner, since that was last reported.
    var otherOwners = (count: 0, example: "")
    /// How many executions the store had lost of, since that was last reported.
    var restored = 0
    /// Whether the store has refused a write, and none was taken since.
    var isRefused = false
  }

  private let state = Mutex(State())
  /// Whether `State.isRefused` may be set, without the lock: it is asked after every call.
  private let mayBeRefused = Atomic<Bool>(false)
  private let metrics: DispatchMetrics
  private let logger: Logger
  private let later: @Sendable (@escaping @Sendable () -> Void) -> Void

  /// Makes reports; `later` calls a function in about a second.
  init(metrics: DispatchMetrics, logger: Logger, later: @escaping @Sendable (@escaping @Sendable () -> Void) -> Void) {
    self.metrics = metrics
    self.logger = logger
    self.later = later
  }

  // MARK: Failures

  /// The store did not do what it was asked.
  func failed(_ what: String, _ error: any Error) {
    logger.debug("the store failed", metadata: ["operation": "\(what)", "error": "\(error)"])
    guard (error as? StateStoreError)?.code == .refused else { return }
    let isFirst = state.withLock { state in
      defer { state.isRefused = true }
      return !state.isRefused
    }
    mayBeRefused.store(true, ordering: .relaxed)
    if isFirst { logger.warning("the store refuses what this node writes", metadata: ["operation": "\(what)", "error": "\(error)"]) }
  }

  /// The store did what it was asked; the end of a refusal is told once.
  func served() {
    guard mayBeRefused.load(ordering: .relaxed) else { return }
    let wasRefused = state.withLock { state in
      defer { state.isRefused = false }
      return state.isRefused
    }
    mayBeRefused.store(false, ordering: .relaxed)
    if wasRefused { logger.notice("the store takes what this node writes again") }
  }

  /// The store holds what this version cannot read.
  func unreadable(_ what: String, _ error: any Error) {
    logger.warning("left alone what this version cannot read", metadata: ["operation": "\(what)", "error": "\(error)"])
  }

  // MARK: Counts

  /// The store refused a change of an execution, since that has another owner: one line of the log tells of all in a second.
  func hasOtherOwner(_ id: String) {
    let isFirst = state.withLock { state in
      if state.otherOwners.count == 0 { state.otherOwners.example = id }
      state.otherOwners.count += 1
      return state.otherOwners.count == 1
    }
    if isFirst { later { self.reportOtherOwners() } }
  }

  private func reportOtherOwners() {
    let (count, example) = state.withLock { state in
      defer { state.otherOwners = (0, "") }
      return state.otherOwners
    }
    logger.warning("executions of this node have another owner now", metadata: ["count": "\(count)", "example": "\(example)"])
  }

  /// The store had lost of an execution, and has it again.
  func restored() {
    metrics.restoredExecution()
    state.withLock { $0.restored += 1 }
  }

  /// Tells how many executions were restored since this was last called.
  func reportRestored() {
    let restored = state.withLock { state in
      defer { state.restored = 0 }
      return state.restored
    }
    guard restored > 0 else { return }
    logger.warning("the store had lost what it had acknowledged: it was written again", metadata: ["executions": "\(restored)"])
  }
}
