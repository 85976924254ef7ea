import NIOCore
import ParallaxAPI
import Synchronization

/// Counts the requests of each caller against `limits.requestsPerMinute`: one bucket of tokens per caller, refilled evenly.
///
/// A caller that was idle for a minute may send a minute's requests at once.
struct RateLimiter: Sendable {
  /// Whose requests are counted together: those of a key or a certificate, else those of an address.
  enum Caller: Sendable, Hashable {
    case principal(Principal.Identity)
    case address(String)
    /// All further addresses while the table is full.
    case others

    /// The configuration does not bound the number of such callers; only signers of tokens can add subjects.
    fileprivate var isOneOfMany: Bool {
      switch self {
      case .address, .principal(.token): true
      case .principal, .others: false
      }
    }
  }

  /// What a caller has left after a request.
  struct Standing: Sendable, Hashable {
    let limit: Int
    /// The requests that may follow at once.
    let remaining: Int
    /// The whole seconds until the next request is accepted; zero if it is accepted at once.
    let wait: Int
    let isExceeded: Bool
  }

  private struct Bucket {
    var tokens: Double
    var filledAt: NIODeadline
  }

  private static let minute = 60.0

  private let limit: Int
  /// The callers that are told apart; it bounds the memory, as the configuration bounds the principals.
  private let capacity: Int
  private var buckets: [Caller: Bucket] = [:]
  /// The time of the last removal of idle callers, each of which takes the whole table's time.
  private var removedAt: NIODeadline?

  init(requestsPerMinute limit: Int, capacity: Int = 100_000) {
    self.limit = limit
    self.capacity = capacity
  }

  /// Counts a request.
  mutating func count(_ caller: Caller, at now: NIODeadline) -> Standing {
    var caller = caller
    // Principals keep buckets of their own, so that no flood of addresses costs the holders of keys anything.
    if caller.isOneOfMany, buckets[caller] == nil, buckets.count >= capacity {
      removeFull(at: now)
      if case .address = caller, buckets.count >= capacity { caller = .others }
    }
    var bucket = buckets[caller] ?? Bucket(tokens: Double(limit), filledAt: now)
    let rate = Double(limit) / Self.minute
    bucket.tokens = min(Double(limit), bucket.tokens + Self.seconds(from: bucket.filledAt, to: now) * rate)
    bucket.filledAt = now
    let isExceeded = bucket.tokens < 1
    if !isExceeded { bucket.tokens -= 1 }
    buckets[caller] = bucket
    let wait = bucket.tokens < 1 ? Int(((1 - bucket.tokens) / rate).rounded(.up)) : 0
    return Standing(limit: limit, remaining: Int(bucket.tokens), wait: wait, isExceeded: isExceeded)
  }

  /// Forgets callers whose buckets are full again: they are as good as new ones.
  private mutating func removeFull(at now: NIODeadline) {
    if let removedAt, now - removedAt < .seconds(1) { return }
    removedAt = now
    buckets = buckets.filter { Self.seconds(from: $0.value.filledAt, to: now) < Self.minute }
  }

  private static func seconds(from earlier: NIODeadline, to later: NIODeadline) -> Double {
    Double(max(0, (later - earlier).nanoseconds)) / 1e9
  }
}

extension RateLimiter.Standing {
  /// The headers of the IETF's draft *RateLimit header fields for HTTP*.
  var headers: [(name: String, value: String)] {
    [("RateLimit-Policy", "\"requests\";q=\(limit);w=60"), ("RateLimit", "\"requests\";r=\(remaining);t=\(wait)")]
  }

  /// The refusal of a request beyond the limit.
  var refusal: HTTPErrorResponse {
    HTTPErrorResponse(
      .rateLimited, "more than \(limit) requests a minute (limits.requestsPerMinute); try again in \(wait) s",
      headers: [("Retry-After", "\(wait)")])
  }
}

/// The rate limiter that all event loops share.
final class SharedRateLimiter: Sendable {
  let requestsPerMinute: Int
  private let limiter: Mutex<RateLimiter>

  init(requestsPerMinute: Int) {
    self.requestsPerMinute = requestsPerMinute
    limiter = Mutex(RateLimiter(requestsPerMinute: requestsPerMinute))
  }

  func count(_ caller: RateLimiter.Caller) -> RateLimiter.Standing {
    let now = NIODeadline.now()
    return limiter.withLock { $0.count(caller, at: now) }
  }
}
