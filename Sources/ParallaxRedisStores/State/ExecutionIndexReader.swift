import ParallaxAPI
import ParallaxRedis
import ParallaxState

/// An entry of the index of executions.
struct ExecutionEntry {
  var id: String
  /// Milliseconds since 1970.
  var createdAt: Int64
  var bucket: ExecutionBucket

  /// Whether this entry follows another one in a list: newest first, then greatest id first.
  func follows(_ other: (createdAt: Int64, id: String)) -> Bool {
    if createdAt != other.createdAt { return createdAt < other.createdAt }
    return id.utf8.lexicographicallyPrecedes(other.id.utf8)
  }
}

/// Reads the index of executions, newest first.
struct ExecutionIndexReader {
  /// The number of buckets that one round trip reads: a page spans many minutes with few executions.
  private static let bucketsAtOnce = 16

  private let store: RedisStateStore
  private let oldest: Int64?
  /// The entry behind which reading continues.
  private var position: (createdAt: Int64, id: String)?
  /// Where reading continues in the first bucket: at this time, behind this number of entries.
  private var bound: (newest: Int64?, offset: Int)
  private var buckets: ArraySlice<ExecutionBucket> = []
  /// The minute before which further buckets are to be listed; nil when all are listed.
  private var nextMinute: Int64?

  /// Reads from `newest`, or from behind `position`, to `oldest`; both are in milliseconds and inclusive.
  init(_ store: RedisStateStore, newest: Int64?, oldest: Int64?, behind position: (createdAt: Int64, id: String)?) {
    self.store = store
    self.oldest = oldest
    self.position = position
    let newest = [newest, position?.createdAt].compactMap { $0 }.min()
    bound = (newest, 0)
    nextMinute = newest.map { ExecutionBucket.minute(of: Timestamp(milliseconds: $0)) + 1 } ?? .max
  }

  /// Reads `buckets`, newest first, without the first `offset` entries, then the buckets before `nextMinute` unless it is nil.
  init(_ store: RedisStateStore, buckets: ArraySlice<ExecutionBucket>, before nextMinute: Int64?, offset: Int) {
    self.store = store
    self.buckets = buckets
    self.nextMinute = nextMinute
    oldest = nil
    bound = (nil, offset)
  }

  /// The next entries, about `count` of them; empty at the end.
  mutating func next(_ count: Int) async throws -> [ExecutionEntry] {
    while try await hasBuckets() {
      let batch = buckets.prefix(Self.bucketsAtOnce)
      let replies = try await store.pipeline(
        batch.enumerated().map { number, bucket in range(of: bucket, offset: number == 0 ? bound.offset : 0, count: count) })
      var entries: [ExecutionEntry] = []
      for (bucket, reply) in zip(batch, replies) {
        let members = reply.scoredMembers
        for (id, createdAt) in members {
          let entry = ExecutionEntry(id: id, createdAt: createdAt, bucket: bucket)
          if let position, !entry.follows(position) { continue }
          entries.append(entry)
          position = (createdAt, id)
        }
        if members.count == count, let last = members.last?.score {
          // The bucket may have further entries; the time stays the same while one millisecond fills whole reads.
          let sameTime = members.reversed().prefix { $0.score == last }.count
          bound = (last, sameTime == count && bound.newest == last ? bound.offset + count : sameTime)
          break
        }
        buckets.removeFirst()
        bound.offset = 0
      }
      if !entries.isEmpty { return entries }
    }
    return []
  }

  private func range(of bucket: ExecutionBucket, offset: Int, count: Int) -> RedisCommand {
    let newest = bound.newest.map { String($0) } ?? "+inf"
    let oldest = oldest.map { String($0) } ?? "-inf"
    return RedisCommand(
      "ZRANGE", store.keys.executions(in: bucket), newest, oldest, "BYSCORE", "REV", "LIMIT", offset, count, "WITHSCORES")
  }

  private mutating func hasBuckets() async throws -> Bool {
    guard buckets.isEmpty, let nextMinute else { return !buckets.isEmpty }
    let oldestMinute = oldest.map { ExecutionBucket.minute(of: Timestamp(milliseconds: $0)) }
    let page = try await store.buckets(before: nextMinute, from: oldestMinute)
    buckets = page.buckets.map(\.bucket)[...]
    self.nextMinute = page.next
    return !buckets.isEmpty
  }
}

extension RedisStateStore {
  /// The number of buckets that one command lists.
  static let bucketPage = 500

  /// The buckets before a minute, newest first, and the minute before which further buckets may exist.
  func buckets(
    before minute: Int64, from oldest: Int64?, limit: Int = bucketPage
  ) async throws -> (buckets: [(bucket: ExecutionBucket, minute: Int64)], next: Int64?) {
    let members = try await send(
      RedisCommand(
        "ZRANGE", keys.executionBuckets, minute == .max ? "+inf" : "(\(minute)", oldest.map { String($0) } ?? "-inf", "BYSCORE", "REV",
        "LIMIT", 0, limit, "WITHSCORES")
    ).scoredMembers
    return (members.map { (ExecutionBucket(name: $0.member), $0.score) }, members.count == limit ? members.last?.score : nil)
  }

  /// The buckets from a minute to another, oldest first, and the minute from which further buckets may exist.
  func buckets(after minute: Int64, upTo newest: Int64?) async throws -> (buckets: [(bucket: ExecutionBucket, minute: Int64)], next: Int64?)
  {
    let members = try await send(
      RedisCommand(
        "ZRANGE", keys.executionBuckets, minute == .min ? "-inf" : "(\(minute)", newest.map { String($0) } ?? "+inf", "BYSCORE", "LIMIT", 0,
        Self.bucketPage, "WITHSCORES")
    ).scoredMembers
    return (
      members.map { (ExecutionBucket(name: $0.member), $0.score) }, members.count == Self.bucketPage ? members.last?.score : nil
    )
  }
}
