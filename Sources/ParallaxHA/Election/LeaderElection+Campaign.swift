import Logging
import ParallaxConcurrency
import Synchronization

/// Running a body while the node leads.
extension LeaderElection {
  /// Registers the election's single body; nil if another body is registered.
  func beginCampaign() -> WakeUp? {
    state.withLock { state in
      if state.campaign != nil { return nil }
      var campaign = Campaign()
      if state.driver != nil, !state.isLeaving, state.machine.isResigned {
        campaign.isOver = true
        campaign.wake.signal()
      }
      state.campaign = campaign
      return campaign.wake
    }
  }

  /// Runs the body in each term of this node.
  ///
  /// - Returns: The result of a body that ended by itself; nil if the campaign was ended from outside.
  func runTerms(_ wake: WakeUp, _ body: @escaping @Sendable (FencingToken) async throws -> Void) async -> Result<Void, any Error>? {
    process(.candidacy(true))
    var result: Result<Void, any Error>?
    for await _ in wake {
      if isCampaignOver { break }
      guard let (token, stop) = takeTerm() else { continue }
      result = await lead(token, until: stop, body)
      if result != nil { break }
    }
    process(.candidacy(false))
    endTerm()
    await settle()
    state.withLock { $0.campaign = nil }
    return result
  }

  private var isCampaignOver: Bool { state.withLock { $0.campaign?.isOver ?? true } }

  private func takeTerm() -> (FencingToken, WakeUp)? {
    state.withLock { state in
      guard let (token, stop) = state.campaign?.pending else { return nil }
      state.campaign?.pending = nil
      state.campaign?.stop = stop
      return (token, stop)
    }
  }

  private func endTerm() {
    state.withLock { $0.campaign?.stop = nil }
    process(.dutiesJoined)
  }

  /// Runs the body until it ends; nil if the end of the term cancelled it.
  private func lead(
    _ token: FencingToken, until stop: WakeUp, _ body: @escaping @Sendable (FencingToken) async throws -> Void
  ) async -> Result<Void, any Error>? {
    let outcome = await race {
      try await body(token)
    } until: {
      try await stop.wait()
    }
    // The cancellation of the task ended the body, whatever its result.
    guard outcome.isInterrupted || Task.isCancelled else { return outcome.result }
    if case .failure(let error) = outcome.result, !(error is CancellationError) {
      logger.warning("the duties of an ended term ended with an error", metadata: ["term": "\(token.term)", "error": "\(error)"])
    }
    // The machine must be stopping before it receives the event that the duties are joined.
    endTerm()
    return nil
  }

  /// Waits until the record no longer names this node, or until no driver runs.
  private func settle() async {
    await withCheckedContinuation { continuation in
      let isSettled = state.withLock { state in
        if state.driver == nil || state.machine.isSettled { return true }
        state.settling.append(continuation)
        return false
      }
      if isSettled { continuation.resume() }
    }
  }
}
