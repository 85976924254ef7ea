import Logging
import ParallaxAPI
import ParallaxRedis
public import ParallaxState

extension RedisStateStore {
  /// The number of executions that one page examines before it leaves the rest to the next page.
  private static let examinationLimit = 2_000

  /// The number of buckets that an offset skips by their sizes; the rest of the offset is skipped by execution.
  private static let skippedBuckets = 512

  /// A page of the executions that match a query.
  public func executions(_ query: ExecutionQuery) async throws -> ExecutionPage {
    let total = try await query.hasFilters ? nil : self.total()
    guard query.hasFilters || query.cursor != nil || query.offset == 0 else {
      let (reader, skip) = try await skip(query.offset)
      let found = try await find(query, in: reader, passingOver: skip)
      return ExecutionPage(executions: try await readAll(found.entries), total: total, nextCursor: found.nextCursor)
    }
    let position = try await position(of: query.cursor)
    if query.cursor != nil, position == nil { return ExecutionPage(executions: [], total: total, nextCursor: nil) }
    let reader = ExecutionIndexReader(
      self, newest: query.until.map { $0.milliseconds - 1 }, oldest: query.since?.milliseconds, behind: position)
    let found = try await find(query, in: reader, passingOver: query.cursor == nil ? query.offset : 0)
    return ExecutionPage(executions: try await readAll(found.entries), total: total, nextCursor: found.nextCursor)
  }

  /// Skips executions by the sizes of their buckets; returns the reader and the rest of the offset.
  private func skip(_ offset: Int) async throws -> (reader: ExecutionIndexReader, rest: Int) {
    var rest = offset
    var counted = 0
    var minute: Int64 = .max
    while true {
      let page = try await buckets(before: minute, from: nil, limit: Self.countedBuckets)
      let sizes = try await self.sizes(of: page.buckets)
      counted += sizes.count
      for (index, size) in sizes.enumerated() {
        if rest < size.count {
          let buckets = sizes[index...].map(\.bucket)[...]
          return (ExecutionIndexReader(self, buckets: buckets, before: page.next, offset: rest), 0)
        }
        rest -= size.count
      }
      guard let next = page.next, counted < Self.skippedBuckets else {
        return (ExecutionIndexReader(self, buckets: [], before: page.next, offset: 0), rest)
      }
      minute = next
    }
  }

  /// The position of a cursor; nil for a cursor without one.
  private func position(of cursor: String?) async throws -> (createdAt: Int64, id: String)? {
    guard let cursor else { return nil }
    let text = try await send(RedisCommand("HGET", keys.execution(cursor), "createdAt")).string
    guard let createdAt = text.flatMap({ Timestamp($0) }) ?? SortableID.timestamp(of: cursor) else { return nil }
    return (createdAt.milliseconds, cursor)
  }

  /// The entries of a page, and the cursor of the next page.
  private func find(
    _ query: ExecutionQuery, in index: ExecutionIndexReader, passingOver offset: Int
  ) async throws -> (entries: [ExecutionEntry], nextCursor: String?) {
    var index = index
    var skip = offset
    var examined = 0
    var last: ExecutionEntry?
    var found: [ExecutionEntry] = []
    let batch = query.pattern == nil && query.status == nil ? query.limit + 1 : 100
    while true {
      if examined == Self.examinationLimit { return (found, last?.id) }
      let entries = Array(try await index.next(batch).prefix(Self.examinationLimit - examined))
      if entries.isEmpty { return (found, nil) }
      for (entry, isMatch) in zip(entries, try await matches(query, entries)) {
        if isMatch, skip == 0, found.count == query.limit { return (found, found.last?.id) }
        examined += 1
        last = entry
        guard isMatch else { continue }
        if skip > 0 { skip -= 1 } else { found.append(entry) }
      }
    }
  }

  /// Whether each execution matches the query's pattern and status; its time has been compared already.
  private func matches(_ query: ExecutionQuery, _ entries: [ExecutionEntry]) async throws -> [Bool] {
    guard query.pattern != nil || query.status != nil else { return entries.map { _ in true } }
    let replies = try await pipelines(
      entries.map { RedisCommand("HMGET", keys.execution($0.id), "version", "status", "pattern", "createdAt") })
    return zip(entries, replies).map { entry, reply in
      guard let fields = reply.array, fields.count == 4, !fields[0].isNull, let createdAt = fields[3].string else { return false }
      if let status = query.status, fields[1].string != status.rawValue { return false }
      if let pattern = query.pattern, fields[2].string != pattern { return false }
      return ExecutionBucket(createdAt: createdAt) == entry.bucket
    }
  }

  /// Reads executions, without those that have been removed or that cannot be read.
  private func readAll(_ entries: [ExecutionEntry]) async throws -> [StoredExecution] {
    let replies = try await pipelines(entries.map { script(ExecutionScripts.read, $0.id, []) })
    return try readable(zip(entries, replies)) { entry, reply in
      // An entry of another minute remains from a creation under an existing id.
      try read(entry.id, reply).flatMap { ExecutionBucket(at: $0.execution.createdAt) == entry.bucket ? $0 : nil }
    }
  }

  /// The readable records of a list: a record of a newer version of the program must not hide the others.
  func readable<Entry, Value>(
    _ list: some Sequence<(Entry, RESPValue)>, _ read: (Entry, RESPValue) throws -> Value?
  ) throws -> [Value] {
    var values: [Value] = []
    for (entry, reply) in list {
      do {
        if let value = try read(entry, reply) { values.append(value) }
      } catch let error as StateStoreError where error.code == .unreadable {
        logger.warning("an unreadable record is missing from a list", metadata: ["error": "\(error)"])
      }
    }
    return values
  }
}
