import DequeModule
import ParallaxAPI

/// Idempotency keys with what they were claimed for, each for 24 hours.
struct InMemoryIdempotencyKeys {
  private struct Claim {
    var executionID: String
    var digest: String
  }

  private var claims: [String: Claim] = [:]
  private var expiries: Deque<(key: String, expiresAt: Timestamp)> = []

  mutating func claim(_ key: String, executionID: String, digest: String, at now: Timestamp) -> IdempotencyClaim {
    while let next = expiries.first, next.expiresAt <= now {
      expiries.removeFirst()
      claims[next.key] = nil
    }
    if let claim = claims[key] {
      return claim.executionID == executionID ? .claimed : .existing(executionID: claim.executionID, digest: claim.digest)
    }
    claims[key] = Claim(executionID: executionID, digest: digest)
    expiries.append((key, now + .seconds(86_400)))
    return .claimed
  }
}
