import DequeModule
import ParallaxAPI

/// The claims of idempotency keys.
struct InMemoryIdempotencyKeys {
  private struct Claim {
    var executionID: String
    var digest: String
    /// The end of the execution; nil until the execution is removed.
    var end: (status: ExecutionStatus, completedAt: Timestamp)?
  }

  private var claims: [String: Claim] = [:]
  private var expiries: Deque<(key: String, expiresAt: Timestamp)> = []

  mutating func claim(
    _ key: String, executionID: String, digest: String, at now: Timestamp, lifetime: Duration
  ) -> IdempotencyClaim {
    while let next = expiries.first, next.expiresAt <= now {
      expiries.removeFirst()
      claims[next.key] = nil
    }
    if let claim = claims[key] {
      if let end = claim.end {
        return .removed(executionID: claim.executionID, digest: claim.digest, status: end.status, completedAt: end.completedAt)
      }
      return claim.executionID == executionID ? .claimed : .existing(executionID: claim.executionID, digest: claim.digest)
    }
    claims[key] = Claim(executionID: executionID, digest: digest)
    let expiry = now + lifetime
    let place = expiries.lastIndex { $0.expiresAt <= expiry }.map { $0 + 1 } ?? 0
    expiries.insert((key, expiry), at: place)
    return .claimed
  }

  /// Claims a key in place of another execution.
  mutating func restore(_ key: String, executionID: String, digest: String, at now: Timestamp, lifetime: Duration) {
    if let other = claims[key], other.executionID != executionID {
      claims[key] = nil
      expiries.removeAll { $0.key == key }
    }
    _ = claim(key, executionID: executionID, digest: digest, at: now, lifetime: lifetime)
  }

  /// Records the end of an execution that is removed.
  mutating func recordEnd(of execution: Execution) {
    guard let key = execution.idempotencyKey, claims[key]?.executionID == execution.id else { return }
    claims[key]?.end = (execution.status, execution.completedAt ?? execution.createdAt)
  }
}
