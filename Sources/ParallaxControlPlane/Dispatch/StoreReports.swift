import Logging
import ParallaxState
import Synchronization

/// Reports the store's answers to log and metrics: each state once, and many events of a kind in one line.
final class StoreReports: Sendable {
  private struct State {
    /// The executions since the last report whose changes the store refused because another node owns them.
    var otherOwners = (count: 0, example: "")
    /// The number of executions restored since the last report.
    var restored = 0
    /// Whether the store refuses writes: it refused one, and has accepted none since.
    var isRefused = false
  }

  private let state = Mutex(State())
  /// Whether `State.isRefused` may be set, without the lock, because every call checks it.
  private let mayBeRefused = Atomic<Bool>(false)
  private let metrics: DispatchMetrics
  private let logger: Logger
  private let later: @Sendable (@escaping @Sendable () -> Void) -> Void

  /// Makes reports; `later` calls a function after about a second.
  init(metrics: DispatchMetrics, logger: Logger, later: @escaping @Sendable (@escaping @Sendable () -> Void) -> Void) {
    self.metrics = metrics
    self.logger = logger
    self.later = later
  }

  // MARK: Failures

  /// Reports the failure of a call.
  func failed(_ what: String, _ error: any Error) {
    logger.debug("the store failed", metadata: ["operation": "\(what)", "error": "\(error)"])
    guard (error as? StateStoreError)?.code == .refused else { return }
    let isFirst = state.withLock { state in
      defer { state.isRefused = true }
      return !state.isRefused
    }
    mayBeRefused.store(true, ordering: .relaxed)
    if isFirst { logger.warning("the store refuses writes of this node", metadata: ["operation": "\(what)", "error": "\(error)"]) }
  }

  /// Records the success of a call, and reports the end of a refusal once.
  func served() {
    guard mayBeRefused.load(ordering: .relaxed) else { return }
    let wasRefused = state.withLock { state in
      defer { state.isRefused = false }
      return state.isRefused
    }
    mayBeRefused.store(false, ordering: .relaxed)
    if wasRefused { logger.notice("the store accepts writes of this node again") }
  }

  /// Reports stored data that this version cannot read.
  func unreadable(_ what: String, _ error: any Error) {
    logger.warning("skipped data that this version cannot read", metadata: ["operation": "\(what)", "error": "\(error)"])
  }

  // MARK: Counts

  /// Reports that the store refused a change because another node owns the execution; one log line covers all within a second.
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

  /// Counts the restoration of an execution that the store had acknowledged and lost, wholly or in part.
  func restored() {
    metrics.restoredExecution()
    state.withLock { $0.restored += 1 }
  }

  /// Reports the number of executions restored since the last call.
  func reportRestored() {
    let restored = state.withLock { state in
      defer { state.restored = 0 }
      return state.restored
    }
    guard restored > 0 else { return }
    logger.warning("restored executions that the store had acknowledged and lost", metadata: ["executions": "\(restored)"])
  }
}
