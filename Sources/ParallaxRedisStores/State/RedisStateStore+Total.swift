import Logging
import ParallaxAPI
import ParallaxRedis
import ParallaxState

/// A minute of the index with the number of its entries.
struct BucketSize {
  let bucket: ExecutionBucket
  let minute: Int64
  var count: Int
}

/// How many executions there are in all, at a bounded cost.
///
/// Counting asks for the size of each minute: 1,440 commands for a day. Retention does so once in a round and leaves the sum of the older
/// minutes, which only retention changes, in the key `KeySpace.executionTotal`; a page adds the younger ones.
extension RedisStateStore {
  /// How many buckets a page counts.
  static let countedBuckets = 64

  /// How long the sum of the older minutes is believed: some rounds of retention.
  private static let totalLifetime: Duration = .seconds(600)

  /// The sum of the minutes before one.
  private struct ExecutionTotal: Codable {
    var before: Int64
    var count: Int
  }

  /// All buckets, newest first, with the number of executions in each: one command for each.
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

  /// Leaves the sum of the minutes that nothing is created in any more for those who list.
  func keepTotal(of sizes: [BucketSize], at now: Timestamp) async {
    // So few are counted by each list.
    if sizes.count <= Self.countedBuckets { return }
    // A creator's clock, which chooses the minute, may be behind the store's.
    let before = ExecutionBucket.minute(of: now) - 5
    let total = ExecutionTotal(before: before, count: sizes.lazy.filter { $0.minute < before }.reduce(0) { $0 + $1.count })
    do {
      let text = try StoredValue.text(total, "the number of executions")
      _ = try await send(RedisCommand("SET", keys.executionTotal, text, "PX", Self.totalLifetime.wholeMilliseconds))
    } catch {
      // A server whose memory is full takes no sum; lists then have no total for some time.
      logger.debug("the number of executions cannot be stored", metadata: ["error": "\(error)"])
    }
  }

  /// How many executions there are; nil if they stand in many minutes and no sum of the older ones is known.
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
