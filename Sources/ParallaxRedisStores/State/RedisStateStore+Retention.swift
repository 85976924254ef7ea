public import ParallaxAPI
import ParallaxHA
import ParallaxRedis
import ParallaxState

extension RedisStateStore {
  /// The number of executions that one round trip removes.
  ///
  /// Each batch waits for the replies to the one before, so that callers' commands wait for one batch at most.
  private static let removalBatch = 100

  /// How long an empty bucket stays in the index of buckets after the removal of its executions: longer than a creator can pause between
  /// adding the minute and adding the execution.
  private static let emptyBucketMinutes: Int64 = 60

  /// How far the clock of an execution's creator, which dates it, may be behind the store's: its idempotency key still holds for that long,
  /// and an entry without an execution counts as one in creation for that long.
  private static let clockTolerance: Duration = .seconds(3_600)

  /// Removes old terminal executions, in batches; never by SCAN or KEYS.
  public func removeExecutions(createdBefore instant: Timestamp, maxRetained: Int, limit: Int) async throws -> Int {
    let now = try await currentTime()
    var removed = try await remove(before: instant, limit: limit, now: now)
    guard removed < limit else { return removed }
    var sizes = try await bucketSizes()
    let excess = sizes.reduce(0) { $0 + $1.count } - maxRetained
    if excess > 0 { removed += try await removeOldest(of: &sizes, limit: min(excess, limit - removed), now: now) }
    await keepTotal(of: sizes, at: now)
    return removed
  }

  /// Removes terminal executions that were created and have ended before an instant, oldest first.
  private func remove(before instant: Timestamp, limit: Int, now: Timestamp) async throws -> Int {
    let newestMinute = ExecutionBucket.minute(of: instant + .milliseconds(-1))
    var removed = 0
    var next: Int64? = .min
    while let minute = next {
      let page = try await buckets(after: minute, upTo: newestMinute)
      for (bucket, minute) in page.buckets {
        guard removed < limit else { return removed }
        removed += try await remove(in: bucket, before: instant, limit: limit - removed, now: now)
        if minute <= newestMinute - Self.emptyBucketMinutes { try await forgetIfEmpty(bucket) }
      }
      next = page.next
    }
    return removed
  }

  /// Removes terminal executions of any age, oldest first, and subtracts them from `sizes`.
  private func removeOldest(of sizes: inout [BucketSize], limit: Int, now: Timestamp) async throws -> Int {
    var removed = 0
    let oldMinute = ExecutionBucket.minute(of: now) - Self.emptyBucketMinutes
    for index in sizes.indices.reversed() where sizes[index].count > 0 {
      guard removed < limit else { break }
      let count = try await remove(in: sizes[index].bucket, before: nil, limit: limit - removed, now: now)
      removed += count
      sizes[index].count -= count
      if sizes[index].count <= 0, sizes[index].minute <= oldMinute { try await forgetIfEmpty(sizes[index].bucket) }
    }
    return removed
  }

  private func remove(in bucket: ExecutionBucket, before instant: Timestamp?, limit: Int, now: Timestamp) async throws -> Int {
    let key = keys.executions(in: bucket)
    let newest = instant.map { "(\($0.milliseconds)" } ?? "+inf"
    var removed = 0
    var kept = 0
    while removed < limit {
      let entries = try await send(
        RedisCommand(
          "ZRANGE", key, "-inf", newest, "BYSCORE", "LIMIT", kept, min(Self.removalBatch, limit - removed), "WITHSCORES")
      ).scoredMembers
      if entries.isEmpty { break }
      let batch = try await removal(of: entries, in: bucket, endedBefore: instant, now: now)
      removed += batch.removed
      kept += batch.kept
    }
    return removed
  }

  /// Removes terminal executions, then the index entries of missing ones.
  private func removal(
    of entries: [(member: String, score: Int64)], in bucket: ExecutionBucket, endedBefore instant: Timestamp?, now: Timestamp
  ) async throws -> (removed: Int, kept: Int) {
    // A full server admits the entry of a live execution that its owner restores before the execution: among the youngest, which only the
    // number to keep removes, an entry without an execution is left alone.
    let isOrphan = { instant != nil && now.milliseconds - $0 > Self.clockTolerance.wholeMilliseconds }
    let replies = try await pipeline(
      entries.map { id, createdAt in
        let arguments = [
          RedisArgument(Self.formatVersion), RedisArgument(bucket.name),
          RedisArgument(ExecutionScripts.tombstoneLifetime.wholeMilliseconds), RedisArgument(Self.keyLifetime(since: createdAt, now: now)),
          RedisArgument(isOrphan(createdAt) ? 1 : 0),
          RedisArgument(instant?.description ?? ""),
        ]
        return script(ExecutionScripts.remove, id, arguments)
      })
    var removed = 0
    var unlisting = RedisCommand("ZREM", keys.executions(in: bucket))
    var commands: [RedisCommand] = []
    for ((id, _), reply) in zip(entries, replies) {
      let answer = reply.strings
      switch answer.first {
      case "removed" where answer.count == 3:
        removed += 1
        unlisting.append(id)
        let owner = NodeSession(nodeID: answer[1], incarnation: answer[2])
        commands.append(RedisCommand("SREM", keys.executions(ownedBy: owner), id))
      case "orphan", "elsewhere": unlisting.append(id)
      case "live", "young", "unreadable": continue
      default: throw StateStoreError.unexpected(reply, of: "the removal of \(id)")
      }
    }
    let unlisted = unlisting.arguments.count - 1
    if unlisted > 0 { _ = try await pipeline([unlisting] + commands) }
    return (removed, entries.count - unlisted)
  }

  /// How many milliseconds the idempotency key of an execution lives at most; 0 if it has expired.
  private static func keyLifetime(since createdAt: Int64, now: Timestamp) -> Int64 {
    let expiry = createdAt + (IdempotencyKey.lifetime + clockTolerance).wholeMilliseconds
    return max(0, expiry - now.milliseconds)
  }

  private func forgetIfEmpty(_ bucket: ExecutionBucket) async throws {
    if try await send(RedisCommand("ZCARD", keys.executions(in: bucket))).int == 0 {
      _ = try await send(RedisCommand("ZREM", keys.executionBuckets, bucket.name))
    }
  }
}
