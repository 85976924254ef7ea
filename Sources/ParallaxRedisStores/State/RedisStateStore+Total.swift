import Logging
import ParallaxAPI
import ParallaxRedis
import ParallaxState

/// A minute of the index, and the number of its entries.
struct BucketSize {
  let bucket: ExecutionBucket
  let minute: Int64
  var count: Int
}

/// The total number of executions, at a bounded cost.
///
/// A full count needs the size of each minute: 1,440 commands for a day. Retention counts once per round and stores the sum of the older
/// minutes, which only retention changes, in the key `KeySpace.executionTotal`; a page adds the younger minutes.
extension RedisStateStore {
  /// The number of buckets that a page counts.
  static let countedBuckets = 64

  /// How long the sum of the older minutes is valid: several rounds of retention.
  private static let totalLifetime: Duration = .seconds(600)

  /// The number of executions in the minutes before one.
  private struct ExecutionTotal: Codable {
    var before: Int64
    var count: Int
  }

  /// All buckets, newest first, each with its number of executions; needs one command per bucket.
  func bucketSizes() async throws -> [BucketSize] {
    var all: [(bucket: ExecutionBucket, minute: Int64)] = []
    var next: Int64? = .max
    while let minute = next {
      let page = try await buckets(before: minute, from: nil)
      all += page.buckets
      next = page.next
    }
    return try await sizes(of: all)
  }

  func sizes(of buckets: [(bucket: ExecutionBucket, minute: Int64)]) async throws -> [BucketSize] {
    let counts = try await pipelines(buckets.map { RedisCommand("ZCARD", keys.executions(in: $0.bucket)) })
    return zip(buckets, counts).map { BucketSize(bucket: $0.bucket, minute: $0.minute, count: $1.int ?? 0) }
  }

  /// Stores the sum of the minutes that no creation can change, for later pages.
  func keepTotal(of sizes: [BucketSize], at now: Timestamp) async {
    // A page counts this few buckets itself.
    if sizes.count <= Self.countedBuckets { return }
    // A creator's clock, which chooses the minute, may be behind the store's.
    let before = ExecutionBucket.minute(of: now) - 5
    let total = ExecutionTotal(before: before, count: sizes.lazy.filter { $0.minute < before }.reduce(0) { $0 + $1.count })
    do {
      let text = try StoredValue.text(total, "the number of executions")
      _ = try await send(RedisCommand("SET", keys.executionTotal, text, "PX", Self.totalLifetime.wholeMilliseconds))
    } catch {
      // A server with full memory refuses the sum; pages then have no total for some time.
      logger.debug("the number of executions cannot be stored", metadata: ["error": "\(error)"])
    }
  }

  /// The number of executions; nil if they span many minutes and no sum of the older minutes is stored.
  func total() async throws -> Int? {
    let page = try await buckets(before: .max, from: nil, limit: Self.countedBuckets + 1)
    if page.buckets.count <= Self.countedBuckets { return try await sizes(of: page.buckets).reduce(0) { $0 + $1.count } }
    guard let text = try await send(RedisCommand("GET", keys.executionTotal)).string else { return nil }
    let total: ExecutionTotal = try StoredValue.decode(text, "the number of executions")
    let young = page.buckets.filter { $0.minute >= total.before }
    guard young.count <= Self.countedBuckets else { return nil }
    return try await total.count + sizes(of: young).reduce(0) { $0 + $1.count }
  }
}
