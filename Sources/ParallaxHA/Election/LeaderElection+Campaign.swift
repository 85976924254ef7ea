import Logging
import Synchronization

/// Running a body while the node leads.
extension LeaderElection {
  /// Claims the one place of a body; nil if it is taken.
  func beginCampaign() -> Signal? {
    state.withLock { state in
      if state.campaign != nil { return nil }
      var campaign = Campaign()
      if state.driver != nil, !state.isLeaving, state.machine.isResigned {
        campaign.isOver = true
        campaign.wake.ring()
      }
      state.campaign = campaign
      return campaign.wake
    }
  }

  /// Runs the body in each term of this node.
  ///
  /// - Returns: How the body ended by itself; nil if the campaign was ended from outside.
  func campaign(_ wake: Signal, _ body: @escaping @Sendable (Fence) async throws -> Void) async -> Result<Void, any Error>? {
    process(.candidacy(true))
    var result: Result<Void, any Error>?
    while result == nil {
      await wake.wait()
      if Task.isCancelled || isCampaignOver { break }
      guard let (fence, stop) = takeTerm() else { continue }
      result = await lead(fence, until: stop, body)
    }
    process(.candidacy(false))
    endTerm()
    await settle()
    state.withLock { $0.campaign = nil }
    return result
  }

  private var isCampaignOver: Bool { state.withLock { $0.campaign?.isOver ?? true } }

  private func takeTerm() -> (Fence, Signal)? {
    state.withLock { state in
      guard let (fence, stop) = state.campaign?.pending else { return nil }
      state.campaign?.pending = nil
      state.campaign?.stop = stop
      return (fence, stop)
    }
  }

  private func endTerm() {
    state.withLock { $0.campaign?.stop = nil }
    process(.dutiesJoined)
  }

  /// Runs the body until it ends, or is cancelled because the term has ended: then there is no result.
  private func lead(
    _ fence: Fence, until stop: Signal, _ body: @escaping @Sendable (Fence) async throws -> Void
  ) async -> Result<Void, any Error>? {
    let result = await withTaskGroup(of: Result<Void, any Error>?.self) { group -> Result<Void, any Error>? in
      group.addTask {
        do { return .success(try await body(fence)) } catch { return .failure(error) }
      }
      group.addTask {
        await stop.wait()
        return nil
      }
      let first = await group.next() ?? nil
      group.cancelAll()
      if first == nil, case .failure(let error)?? = await group.next(), !(error is CancellationError) {
        logger.warning("the duties of an ended term ended with an error", metadata: ["term": "\(fence.term)", "error": "\(error)"])
      }
      // The body of a task that is cancelled returned because of that, not because there is nothing left to do.
      if Task.isCancelled, case .success? = first { return nil }
      return first
    }
    // A term that ended by itself is given up first, so that joining finds it being given up.
    if result == nil { endTerm() }
    return result
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
