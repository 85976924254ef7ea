import DequeModule
import ParallaxAPI
import ParallaxHA

/// The executions, indexed by id, age and owner.
struct InMemoryExecutions {
  /// The position of an execution in the listing, oldest first.
  private struct Position: Comparable {
    var createdAt: Timestamp
    var id: String

    static func < (left: Position, right: Position) -> Bool {
      if left.createdAt != right.createdAt { return left.createdAt < right.createdAt }
      return left.id.utf8.lexicographicallyPrecedes(right.id.utf8)
    }
  }

  /// The largest number of executions that one page examines.
  private static let examinationLimit = 10_000

  private var byID: [String: StoredExecution] = [:]
  private var byAge: Deque<Position> = []
  private var byOwner: [NodeSession: Set<String>] = [:]
  private var ended: EndedExecutions
  /// The ended executions evicted since the last ``takeEvicted()``.
  private var evicted: [Execution] = []

  /// - Parameter maximumEndedBytes: The memory bound of ended executions, beyond which those that ended first are evicted.
  init(maximumEndedBytes: Int) {
    ended = EndedExecutions(maximumBytes: maximumEndedBytes)
  }

  subscript(id: String) -> StoredExecution? { byID[id] }

  mutating func create(_ stored: StoredExecution) -> CreateOutcome {
    let execution = stored.execution
    if let existing = byID[execution.id]?.execution {
      let isRepeat = existing.owner == execution.owner && existing.epoch == execution.epoch && existing.revision == execution.revision
      return isRepeat ? .created : .exists
    }
    byID[execution.id] = stored
    byOwner[execution.owner, default: []].insert(execution.id)
    let position = Position(createdAt: execution.createdAt, id: execution.id)
    if let newest = byAge.last, position < newest {
      byAge.insert(position, at: index(of: position))
    } else {
      byAge.append(position)
    }
    recordEnd(of: execution.id)
    return .created
  }

  mutating func update(_ change: ExecutionChange) -> UpdateOutcome {
    guard let index = byID.index(forKey: change.id) else { return .missing }
    let execution = byID.values[index].execution
    if execution.epoch < change.epoch, !execution.status.isTerminal { return .behind }
    guard execution.owner == change.owner, execution.epoch == change.epoch else { return .stale }
    let isSame = execution.revision == change.revision
    if isSame, execution.status.isTerminal || change.status?.isTerminal != true { return .applied }
    guard execution.revision <= change.revision, !execution.status.isTerminal else { return .stale }
    guard isSame || execution.revision + 1 == change.revision else { return .behind }
    guard execution.recordings <= change.recordings else { return .unread }
    byID.values[index].apply(change)
    recordEnd(of: change.id)
    return .applied
  }

  mutating func restore(_ stored: StoredExecution, as claim: RestorationClaim, acknowledged: Set<String>) -> RestoreOutcome {
    let execution = stored.execution
    guard let index = byID.index(forKey: execution.id) else {
      if claim == .ownerOfOld { return .barred }
      _ = create(stored)
      if execution.status.isTerminal { disown(execution.id, by: execution.owner) }
      return .restored
    }
    let present = byID.values[index].execution
    let isOwn = present.owner == execution.owner && present.epoch == execution.epoch
    if isOwn, present.revision == execution.revision { return .intact }
    let isEarlier = present.epoch < execution.epoch || isOwn && present.revision < execution.revision
    guard isEarlier || claim == .witnessOfEnd, !present.status.isTerminal else { return .stale }
    if claim != .witnessOfEnd, stored.lacksTasks(of: byID.values[index], besides: acknowledged) { return .unread }
    byID.values[index].execution = execution
    byID.values[index].execution.recordings = max(present.recordings, execution.recordings)
    byID.values[index].merge(stored.tasks, acknowledged: claim == .witnessOfEnd ? Set(stored.tasks.map(\.id)) : acknowledged)
    if !execution.status.isTerminal { byOwner[execution.owner, default: []].insert(execution.id) }
    recordEnd(of: execution.id)
    return .restored
  }

  mutating func record(_ outcome: TaskRecord, of id: String) -> RecordOutcome {
    guard let index = byID.index(forKey: id),
      let place = byID.values[index].tasks.firstIndex(where: { $0.id == outcome.id && $0.agentID == outcome.agentID })
    else { return .unknown }
    let execution = byID.values[index].execution
    let task = byID.values[index].tasks[place]
    guard task.state == .open, !execution.status.isTerminal else {
      return .alreadyRecorded(owner: execution.owner, terminal: execution.status.isTerminal)
    }
    var recorded = outcome
    recorded.slot = task.slot
    recorded.attempt = task.attempt
    byID.values[index].tasks[place] = recorded
    byID.values[index].execution.recordings += 1
    return .recorded(owner: execution.owner)
  }

  mutating func disown(_ id: String, by owner: NodeSession) {
    guard byOwner[owner]?.remove(id) != nil else { return }
    if byOwner[owner]?.isEmpty == true { byOwner[owner] = nil }
  }

  mutating func unlist(_ id: String, from session: NodeSession) {
    if let execution = byID[id]?.execution, execution.owner == session, !execution.status.isTerminal { return }
    disown(id, by: session)
  }

  func owned(by owner: NodeSession) -> [String] {
    byOwner[owner].map { Array($0) } ?? []
  }

  mutating func claim(_ id: String, from previous: NodeSession, isGone: Bool, to owner: NodeSession) -> StoredExecution? {
    guard let index = byID.index(forKey: id), !byID.values[index].execution.status.isTerminal else {
      if isGone || byID[id] != nil { disown(id, by: previous) }
      return nil
    }
    let current = byID.values[index].execution.owner
    if previous != owner { disown(id, by: previous) }
    if current == owner { return byID.values[index] }
    guard current == previous else { return nil }
    byID.values[index].execution.owner = owner
    byID.values[index].execution.epoch += 1
    byOwner[owner, default: []].insert(id)
    return byID.values[index]
  }

  /// The index of a position, or its insertion point if it is absent.
  private func index(of position: Position) -> Int {
    byAge.partitioningIndex { !($0 < position) }
  }
}

// MARK: Listing

extension InMemoryExecutions {
  func page(_ query: ExecutionQuery) -> ExecutionPage {
    var page = ExecutionPage(executions: [], total: query.hasFilters ? nil : byAge.count, nextCursor: nil)
    guard var index = end(of: query) else { return page }
    var skip = query.cursor == nil ? query.offset : 0
    if !query.hasFilters {
      index = max(0, index - skip)
      skip = 0
    }
    var examined = 0
    while index > 0 {
      let position = byAge[index - 1]
      if let since = query.since, position.createdAt < since { return page }
      if examined == Self.examinationLimit {
        page.nextCursor = byAge[index].id
        return page
      }
      index -= 1
      examined += 1
      guard let stored = byID[position.id], query.matches(stored.execution) else { continue }
      if skip > 0 {
        skip -= 1
      } else if page.executions.count < query.limit {
        page.executions.append(stored)
      } else {
        page.nextCursor = page.executions.last?.execution.id
        return page
      }
    }
    return page
  }

  /// The index behind the newest execution in the query's range; nil if its cursor is invalid.
  private func end(of query: ExecutionQuery) -> Int? {
    var end = byAge.count
    if let cursor = query.cursor {
      guard let createdAt = byID[cursor]?.execution.createdAt ?? SortableID.timestamp(of: cursor) else { return nil }
      end = index(of: Position(createdAt: createdAt, id: cursor))
    }
    if let until = query.until {
      end = min(end, byAge.partitioningIndex { $0.createdAt >= until })
    }
    return end
  }
}

// MARK: Retention

extension InMemoryExecutions {
  mutating func remove(createdBefore instant: Timestamp, maxRetained: Int, limit: Int) -> [Execution] {
    var removed: [Execution] = []
    var kept: [Position] = []
    while removed.count < limit, let oldest = byAge.first {
      let isExcess = byAge.count + kept.count > maxRetained
      guard oldest.createdAt < instant || isExcess else { break }
      byAge.removeFirst()
      if let execution = byID[oldest.id]?.execution, execution.status.isTerminal,
        isExcess || execution.completedAt.map({ $0 < instant }) ?? true
      {
        byID[oldest.id] = nil
        disown(oldest.id, by: execution.owner)
        ended.remove(oldest.id)
        removed.append(execution)
      } else {
        kept.append(oldest)
      }
    }
    byAge.prepend(contentsOf: kept)
    return removed
  }

  /// The executions evicted since the last call.
  mutating func takeEvicted() -> [Execution] {
    defer { evicted = [] }
    return evicted
  }

  /// Counts an ended execution against the memory bound, and evicts those that ended first.
  private mutating func recordEnd(of id: String) {
    guard let stored = byID[id], stored.execution.status.isTerminal else { return }
    ended.add(stored)
    while let oldest = ended.excess {
      ended.remove(oldest)
      guard let execution = byID.removeValue(forKey: oldest)?.execution else { continue }
      disown(oldest, by: execution.owner)
      let place = index(of: Position(createdAt: execution.createdAt, id: oldest))
      if place < byAge.count, byAge[place].id == oldest { byAge.remove(at: place) }
      evicted.append(execution)
    }
  }
}

extension Deque {
  /// The first index whose element meets a condition, in a collection where all later elements meet it too.
  fileprivate func partitioningIndex(where isInSecondPart: (Element) -> Bool) -> Int {
    var low = 0
    var high = count
    while low < high {
      let middle = low + (high - low) / 2
      if isInSecondPart(self[middle]) { high = middle } else { low = middle + 1 }
    }
    return low
  }
}
