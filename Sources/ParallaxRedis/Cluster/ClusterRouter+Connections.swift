import NIOCore

/// Waiting for a connection to a server that may be another one by the time it comes.
extension ClusterRouter {
  /// How long one server is waited for before the map is looked at again: the slot may have another master by then.
  private static let patience = TimeAmount.milliseconds(200)
  /// How long a slot without a master is waited for before the map is looked at again.
  private static let pause = Duration.milliseconds(50)

  /// Waits for a connection to the master of a slot, whichever that is in the end.
  ///
  /// - Parameters:
  ///   - slot: The slot; `nil` for a command without a key.
  ///   - asked: The server that the command was sent on to, which is preferred if it can be had soon.
  ///   - deadline: How long.
  /// - Returns: A connection to it, or to the server that was preferred.
  /// - Throws: Why there is none in time, as a ``RedisError``, or `CancellationError`.
  nonisolated(nonsending) func connection(
    forSlot slot: Int?, asking asked: RedisNode? = nil, before deadline: NIODeadline
  ) async throws -> RedisConnection {
    if let asked, let connection = try? await asked.connection(before: min(deadline, .now() + Self.patience)) { return connection }
    try Task.checkCancellation()
    while true {
      try await map.value(before: deadline)
      guard let node = node(ofSlot: slot) else {
        askForRefresh()
        if NIODeadline.now() >= deadline { throw Self.withoutMaster(slot) }
        try await Task.sleep(for: Self.pause)
        continue
      }
      do {
        return try await node.connection(before: min(deadline, .now() + Self.patience))
      } catch let error as RedisError {
        let isFinal = !node.hasEnded && error.isFinal
        if isFinal || NIODeadline.now() >= deadline { throw error }
        askForRefresh()
        // A node ends after it has left the map, so there is another now.
        if node.hasEnded, self.node(ofSlot: slot) === node { try await Task.sleep(for: Self.pause) }
      }
    }
  }

  private static func withoutMaster(_ slot: Int?) -> RedisError {
    RedisError(
      .connectionFailed,
      message: slot.map { "No master has slot \($0): see CLUSTER INFO for what the cluster lacks." } ?? "The cluster has no master.")
  }

  /// A connection for one user, to the master of a key or to any.
  nonisolated(nonsending) func lease(forKey key: String?) async throws -> RedisLeasedConnection {
    let slot = key.map { HashSlot.of($0) }
    let deadline = NIODeadline.now() + TimeAmount(clamping: configuration.commandTimeout)
    while true {
      let endpoint = try await connection(forSlot: slot, before: deadline).endpoint
      guard let node = node(ofSlot: slot) else { continue }
      do {
        return try await node.lease(before: deadline) { self.learn($0, from: endpoint) }
      } catch let error as RedisError {
        // The master was lost on the way to it, and another is about to take over.
        guard node.hasEnded || !error.isFinal, NIODeadline.now() < deadline else { throw error }
        askForRefresh()
        try await Task.sleep(for: Self.pause)
      }
    }
  }
}
