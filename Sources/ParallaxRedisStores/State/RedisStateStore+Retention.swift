public import ParallaxAPI
import ParallaxHA
import ParallaxRedis
import ParallaxState

extension RedisStateStore {
  /// How many executions are removed in one round trip.
  private static let removalBatch = 100

  /// How long an empty bucket stays in the index of buckets after its executions may be removed: longer than a creator can be paused
  /// between entering its minute and entering its execution.
  private static let emptyBucketMinutes: Int64 = 60

  /// Removes old terminal executions, in batches; never by SCAN or KEYS.
  public func removeExecutions(createdBefore instant: Timestamp, maxRetained: Int, limit: Int) async throws -> Int {
    var removed = try await remove(upTo: instant.milliseconds - 1, limit: limit)
    if removed < limit {
      let excess = try await bucketSizes().reduce(0) { $0 + $1.count } - maxRetained
      if excess > 0 { removed += try await remove(upTo: nil, limit: min(excess, limit - removed)) }
    }
    return removed
  }

  /// Removes terminal executions, oldest first, up to one in milliseconds.
  private func remove(upTo newest: Int64?, limit: Int) async throws -> Int {
    let newestMinute = newest.map { ExecutionBucket.minute(of: Timestamp(milliseconds: $0)) }
    var removed = 0
    var next: Int64? = .min
    while let minute = next {
      let page = try await buckets(after: minute, upTo: newestMinute)
      for (bucket, minute) in page.buckets {
        guard removed < limit else { return removed }
        removed += try await remove(in: bucket, upTo: newest, limit: limit - removed)
        if let newestMinute, minute <= newestMinute - Self.emptyBucketMinutes { try await forgetIfEmpty(bucket) }
      }
      next = page.next
    }
    return removed
  }

  private func remove(in bucket: ExecutionBucket, upTo newest: Int64?, limit: Int) async throws -> Int {
    let key = keys.executions(in: bucket)
    let newest = newest.map { String($0) } ?? "+inf"
    var removed = 0
    var kept = 0
    while removed < limit {
      let ids = try await send(
        RedisCommand("ZRANGE", key, "-inf", newest, "BYSCORE", "LIMIT", kept, min(Self.removalBatch, limit - removed))
      ).strings
      if ids.isEmpty { break }
      let batch = try await removal(of: ids, in: bucket)
      removed += batch.removed
      kept += batch.kept
    }
    return removed
  }

  /// Removes executions where they are terminal, then the index entries of those that are not there any more.
  private func removal(of ids: [String], in bucket: ExecutionBucket) async throws -> (removed: Int, kept: Int) {
    let arguments = [
      RedisArgument(Self.formatVersion), RedisArgument(bucket.name), RedisArgument(ExecutionScripts.tombstoneLifetime.wholeMilliseconds),
    ]
    let replies = try await pipeline(ids.map { script(ExecutionScripts.remove, $0, arguments) })
    var removed = 0
    var unlisting = RedisCommand("ZREM", keys.executions(in: bucket))
    var commands: [RedisCommand] = []
    for (id, reply) in zip(ids, replies) {
      let answer = reply.strings
      switch answer.first {
      case "removed" where answer.count == 3:
        removed += 1
        unlisting.append(id)
        let owner = NodeSession(nodeID: answer[1], incarnation: answer[2])
        commands.append(RedisCommand("SREM", keys.executions(ownedBy: owner), id))
      case "orphan", "elsewhere": unlisting.append(id)
      case "live", "unreadable": continue
      default: throw StateStoreError.unexpected(reply, of: "the removal of \(id)")
      }
    }
    let unlisted = unlisting.arguments.count - 1
    if unlisted > 0 { _ = try await pipeline([unlisting] + commands) }
    return (removed, ids.count - unlisted)
  }

  private func forgetIfEmpty(_ bucket: ExecutionBucket) async throws {
    if try await send(RedisCommand("ZCARD", keys.executions(in: bucket))).int == 0 {
      _ = try await send(RedisCommand("ZREM", keys.executionBuckets, bucket.name))
    }
  }
}
