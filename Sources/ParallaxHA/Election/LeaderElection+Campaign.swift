import Logging
import ParallaxConcurrency
import Synchronization

/// Running a body while the node leads.
extension LeaderElection {
  /// Claims the one place of a body; nil if it is taken.
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
  /// - Returns: How the body ended by itself; nil if the campaign was ended from outside.
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

  /// Runs the body until it ends, or is cancelled because the term has ended: then there is no result.
  private func lead(
    _ token: FencingToken, until stop: WakeUp, _ body: @escaping @Sendable (FencingToken) async throws -> Void
  ) async -> Result<Void, any Error>? {
    let outcome = await race {
      try await body(token)
    } until: {
      try await stop.wait()
    }
    // The body of a task that is cancelled ended because of that, not because there is nothing left to do.
    guard outcome.isInterrupted || Task.isCancelled else { return outcome.result }
    if case .failure(let error) = outcome.result, !(error is CancellationError) {
      logger.warning("the duties of an ended term ended with an error", metadata: ["term": "\(token.term)", "error": "\(error)"])
    }
    // A term that ended by itself is given up first, so that joining finds it being given up.
    endTerm()
    return nil
  }

  /// Waits until nothing is left to give back, or nobody drives the machine.
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
