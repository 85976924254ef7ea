import NIOCore

/// Waits for a connection to a master that may change meanwhile.
extension ClusterRouter {
  /// How long one server is awaited before the map is read again: the slot may have another master by then.
  private static let attemptTimeout = TimeAmount.milliseconds(200)
  /// How long a slot without a master waits before the map is read again.
  private static let pause = Duration.milliseconds(50)

  /// Waits for a connection to the master of a slot, which may change during the wait.
  ///
  /// - Parameters:
  ///   - slot: The slot; `nil` for a command without a key.
  ///   - asked: The server to which the command was redirected, which is preferred if it is connected soon.
  ///   - deadline: The end of the wait.
  /// - Returns: A connection to the master, or to the preferred server.
  /// - Throws: The reason that there is none in time, as a ``RedisError``, or `CancellationError`.
  nonisolated(nonsending) func connection(
    forSlot slot: Int?, asking asked: RedisNode? = nil, before deadline: NIODeadline
  ) async throws -> RedisConnection {
    if let asked, let connection = try? await asked.connection(before: min(deadline, .now() + Self.attemptTimeout)) { return connection }
    try Task.checkCancellation()
    while true {
      try await map.value(before: deadline)
      guard let node = node(ofSlot: slot) else {
        askForRefresh()
        if NIODeadline.now() >= deadline { throw Self.withoutMaster(slot) }
        try await connector.clock.sleep(for: Self.pause)
        continue
      }
      do {
        return try await node.connection(before: min(deadline, .now() + Self.attemptTimeout))
      } catch let error as RedisError {
        let isFinal = !node.hasEnded && error.isFinal
        if isFinal || NIODeadline.now() >= deadline { throw error }
        askForRefresh()
        // A node ends after it has left the map, so by then the map has another node.
        if node.hasEnded, self.node(ofSlot: slot) === node { try await connector.clock.sleep(for: Self.pause) }
      }
    }
  }

  private static func withoutMaster(_ slot: Int?) -> RedisError {
    RedisError(
      .connectionFailed,
      message: slot.map { "No master has slot \($0): see CLUSTER INFO." } ?? "The cluster has no master.")
  }

  /// Leases a connection to the master of a key, or to any master.
  nonisolated(nonsending) func lease(forKey key: String?) async throws -> RedisLeasedConnection {
    let slot = key.map { HashSlot.of($0) }
    let deadline = NIODeadline.now() + TimeAmount(clamping: configuration.commandTimeout)
    while true {
      let endpoint = try await connection(forSlot: slot, before: deadline).endpoint
      guard let node = node(ofSlot: slot) else { continue }
      do {
        return try await node.lease(before: deadline) { self.learn($0, from: endpoint) }
      } catch let error as RedisError {
        // The master was lost meanwhile, and another is about to take over.
        guard node.hasEnded || !error.isFinal, NIODeadline.now() < deadline else { throw error }
        askForRefresh()
        try await connector.clock.sleep(for: Self.pause)
      }
    }
  }
}
