import Synchronization

/// Connects to the server that a locator finds, and cancels the attempt when another server takes over: an attempt to reach a server that
/// has vanished from the network would last until the connect time-out.
final class ConnectionAttempts: Sendable {
  private typealias Attempt = Task<Result<RedisConnection, RedisError>, Never>

  private let locator: ServerLocator
  private let current = Mutex<(endpoint: RedisConfiguration.Endpoint, attempt: Attempt)?>(nil)

  init(_ locator: ServerLocator) {
    self.locator = locator
  }

  /// Opens a connection; one attempt at a time.
  ///
  /// - Parameter connect: Opens a connection to a server; must end soon after the cancellation of its task.
  /// - Returns: A connection to the right server.
  /// - Throws: The reason that there is none, also after the cancellation of the task.
  func connect(
    _ connect: @escaping @Sendable (RedisConfiguration.Endpoint) async throws(RedisError) -> RedisConnection
  ) async throws(RedisError) -> RedisConnection {
    let endpoint = try await locator.locate()
    let attempt = Attempt {
      do throws(RedisError) {
        return .success(try await connect(endpoint))
      } catch {
        return .failure(error)
      }
    }
    current.withLock { $0 = (endpoint, attempt) }
    // If a server took over before the attempt began, there was nothing to cancel.
    followServers()
    let result = await withTaskCancellationHandler {
      await attempt.value
    } onCancel: {
      attempt.cancel()
    }
    current.withLock { $0 = nil }
    if let reason = reasonToLeave(endpoint) {
      if case .success(let connection) = result { connection.fail(reason) }
      throw reason
    }
    return try result.get()
  }

  /// Cancels the current attempt if another server has taken over.
  func followServers() {
    if let (endpoint, attempt) = current.withLock({ $0 }), !locator.isCurrent(endpoint) { attempt.cancel() }
  }

  /// The reason to leave a server; `nil` if it is the right one.
  func reasonToLeave(_ endpoint: RedisConfiguration.Endpoint) -> RedisError? {
    if locator.isCurrent(endpoint) { return nil }
    return RedisError(.connectionFailed, message: "Another server has taken over: \(endpoint) is no longer \(locator.name).")
  }
}
