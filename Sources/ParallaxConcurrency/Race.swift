/// The end of work that raced against an interruption.
package struct RaceOutcome<Value: Sendable>: Sendable {
  /// The result of the work, whether it ended before the interruption or after it.
  package let result: Result<Value, any Error>
  /// Whether the interruption came before the work ended.
  package let isInterrupted: Bool
}

/// Runs work and cancels it when an interruption returns.
///
/// Both are child tasks, and both are joined: the work is cancelled when the interruption returns, the interruption when the work ends, and
/// the function returns when both have ended. No result is lost: a value that the work returns after its cancellation is its result.
///
/// A cancellation of the caller's task reaches both. An interruption that throws, as it then does, does not interrupt the work.
///
/// - Parameters:
///   - work: The work, which should end soon after its cancellation.
///   - interruption: Returns when the work is to be cancelled; it must end after its own cancellation.
///   - onInterruption: Called after the interruption has returned and before the work is joined, for callers that must not wait for work
///     that ignores its cancellation.
/// - Returns: The end of the work.
package func race<Value: Sendable>(
  _ work: @escaping @Sendable () async throws -> Value, until interruption: @escaping @Sendable () async throws -> Void,
  onInterruption: () -> Void = {}
) async -> RaceOutcome<Value> {
  await withTaskGroup(of: RaceEvent<Value>.self) { group in
    group.addTask {
      do { return .ended(.success(try await work())) } catch { return .ended(.failure(error)) }
    }
    group.addTask {
      do { try await interruption() } catch { return .withdrawn }
      return .interrupted
    }
    var isInterrupted = false
    while let event = await group.next() {
      switch event {
      case .ended(let result):
        group.cancelAll()
        return RaceOutcome(result: result, isInterrupted: isInterrupted)
      case .interrupted:
        isInterrupted = true
        onInterruption()
        group.cancelAll()
      case .withdrawn: break
      }
    }
    preconditionFailure("a race ended before its work")
  }
}

private enum RaceEvent<Value: Sendable>: Sendable {
  case ended(Result<Value, any Error>)
  case interrupted
  /// The interruption was cancelled or threw.
  case withdrawn
}
