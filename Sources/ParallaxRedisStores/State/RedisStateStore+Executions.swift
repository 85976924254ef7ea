import ParallaxAPI
public import ParallaxHA
import ParallaxRedis
public import ParallaxState

extension RedisStateStore {
  /// Stores a new execution by one script over one slot, after its index entries.
  public func create(_ stored: StoredExecution) async throws -> CreateOutcome {
    let execution = stored.execution
    let arguments = try arguments(of: stored)
    let bucket = ExecutionBucket(at: execution.createdAt)
    var commands: [RedisCommand] = []
    let isRegistered = registeredBuckets.isRegistered(execution.createdAt)
    if !isRegistered {
      commands.append(RedisCommand("ZADD", keys.executionBuckets, ExecutionBucket.minute(of: execution.createdAt), bucket.name))
    }
    commands.append(RedisCommand("SADD", keys.executions(ownedBy: execution.owner), execution.id))
    commands.append(RedisCommand("ZADD", keys.executions(in: bucket), execution.createdAt.milliseconds, execution.id))
    let replies = try await pipeline(commands, then: script(ExecutionScripts.create, execution.id, arguments))
    if !isRegistered { registeredBuckets.didRegister(execution.createdAt) }

    guard let reply = replies.last, let answer = reply.array, let outcome = answer.first?.string else {
      throw StateStoreError.unexpected(replies.last ?? .null, of: "the creation of \(execution.id)")
    }
    switch outcome {
    case "created": return .created
    case "exists":
      try await unlist(execution, inFavorOf: answer.last?.string.flatMap { Timestamp($0) })
      return .exists
    case "barred": return .barred
    case "unreadable": throw StateStoreError.unreadable("execution \(execution.id)")
    default: throw StateStoreError.unexpected(reply, of: "the creation of \(execution.id)")
    }
  }

  /// Corrects the index after a late creation: the execution was already created at another time, perhaps in another minute.
  ///
  /// The creator's entry in the list of its executions stays, since its session may be about to claim the execution: a surplus entry is
  /// harmless, a missing one is not.
  private func unlist(_ execution: Execution, inFavorOf createdAt: Timestamp?) async throws {
    guard let createdAt, createdAt != execution.createdAt else { return }
    let bucket = ExecutionBucket(at: execution.createdAt)
    if bucket == ExecutionBucket(at: createdAt) {
      _ = try await send(RedisCommand("ZADD", keys.executions(in: bucket), "XX", createdAt.milliseconds, execution.id))
    } else {
      _ = try await send(RedisCommand("ZREM", keys.executions(in: bucket), execution.id))
    }
  }

  /// Applies a change if the store holds the revision before it.
  public func update(_ change: ExecutionChange) async throws -> UpdateOutcome {
    let fields = try fields(of: change).arguments
    var arguments = header(change.owner, epoch: change.epoch, revision: change.revision, recordings: change.recordings)
    arguments.append(RedisArgument(fields.count))
    arguments += fields
    arguments += try StoredTask.arguments(change.tasks)
    let reply = try await send(script(ExecutionScripts.update, change.id, arguments))
    switch reply.string {
    case "applied": return .applied
    case "stale": return .stale
    case "behind": return .behind
    case "unread": return .unread
    case "missing": return .missing
    case "unreadable": throw StateStoreError.unreadable("execution \(change.id)")
    default: throw StateStoreError.unexpected(reply, of: "the change of \(change.id)")
    }
  }

  /// Restores an execution that Redis may have lost, or of which it may have lost writes.
  public func restore(
    _ stored: StoredExecution, as claim: RestorationClaim, acknowledged: Set<String> = []
  ) async throws -> RestoreOutcome {
    let execution = stored.execution
    let list = acknowledged.sorted().map { " \($0) " }.joined()
    let arguments = try arguments(of: stored) + [RedisArgument(list), RedisArgument(claim.rawValue)]
    let bucket = ExecutionBucket(at: execution.createdAt)
    var commands = [dating(bucket.name, ExecutionBucket.minute(of: execution.createdAt), in: keys.executionBuckets)]
    if !execution.status.isTerminal { commands.append(listing(execution.id, in: keys.executions(ownedBy: execution.owner))) }
    commands.append(dating(execution.id, execution.createdAt.milliseconds, in: keys.executions(in: bucket)))
    let replies = try await pipeline(commands, then: script(ExecutionScripts.restore, execution.id, arguments))
    switch replies.last?.string {
    case "intact": return .intact
    case "restored": return .restored
    case "stale": return .stale
    case "unread": return .unread
    case "barred": return .barred
    case "unreadable": throw StateStoreError.unreadable("execution \(execution.id)")
    default: throw StateStoreError.unexpected(replies.last ?? .null, of: "the restoration of \(execution.id)")
    }
  }

  /// Records a task's outcome; the first one wins.
  public func record(_ outcome: TaskRecord, of execution: String) async throws -> RecordOutcome {
    let arguments = [RedisArgument(Self.formatVersion), RedisArgument(outcome.id), RedisArgument(outcome.agentID)]
    let json = try StoredValue.bytes(StoredOutcome(outcome), "the outcome of task \(outcome.id)")
    let reply = try await send(script(ExecutionScripts.record, execution, arguments + [RedisArgument(json)]))
    let answer = reply.array?.map(\.string) ?? []
    guard answer.count == 4, let nodeID = answer[1], let incarnation = answer[2] else {
      switch answer.first {
      case "unknown": return .unknown
      case "unreadable": throw StateStoreError.unreadable("execution \(execution)")
      default: throw StateStoreError.unexpected(reply, of: "the outcome of task \(outcome.id)")
      }
    }
    let owner = NodeSession(nodeID: nodeID, incarnation: incarnation)
    switch answer[0] {
    case "recorded": return .recorded(owner: owner)
    case "already": return .alreadyRecorded(owner: owner, terminal: answer[3] == "terminal")
    default: throw StateStoreError.unexpected(reply, of: "the outcome of task \(outcome.id)")
    }
  }

  /// Removes a terminal execution from its owner's list.
  public func release(_ id: String, owner: NodeSession) async throws {
    _ = try await send(RedisCommand("SREM", keys.executions(ownedBy: owner), id))
  }

  /// Removes an execution from a session's list unless the session owns it and it is live.
  public func unlist(_ id: String, from session: NodeSession) async throws {
    let replies = try await pipeline(
      [RedisCommand("SREM", keys.executions(ownedBy: session), id)],
      then: RedisCommand("HMGET", keys.execution(id), "nodeId", "incarnation", "status"))
    let now = replies[1].array?.map(\.string) ?? []
    // The session may have claimed the execution between the two commands.
    guard now.count == 3, now[0] == session.nodeID, now[1] == session.incarnation,
      let status = now[2].flatMap({ ExecutionStatus(rawValue: $0) }), !status.isTerminal
    else { return }
    _ = try await send(listing(id, in: keys.executions(ownedBy: session)))
  }

  /// The execution, or nil.
  public func execution(_ id: String) async throws -> StoredExecution? {
    try read(id, try await send(script(ExecutionScripts.read, id, [])))
  }

  /// The ids of the executions on a session's list.
  public func executions(ownedBy owner: NodeSession) async throws -> [String] {
    try await send(RedisCommand("SMEMBERS", keys.executions(ownedBy: owner))).strings
  }

  /// Makes `owner` the owner and raises the epoch if `previous` is still the owner.
  public func claim(_ id: String, from previous: NodeSession, isGone: Bool, to owner: NodeSession) async throws -> StoredExecution? {
    let tombstoneLifetime = isGone ? ExecutionScripts.tombstoneLifetime : .zero
    let arguments: [RedisArgument] = [
      RedisArgument(Self.formatVersion), RedisArgument(previous.nodeID), RedisArgument(previous.incarnation), RedisArgument(owner.nodeID),
      RedisArgument(owner.incarnation), RedisArgument(tombstoneLifetime.wholeMilliseconds),
    ]
    let replies = try await pipeline(
      [listing(id, in: keys.executions(ownedBy: owner))], then: script(ExecutionScripts.claim, id, arguments))
    guard let answer = replies[1].array, let outcome = answer.first?.string else {
      throw StateStoreError.unexpected(replies[1], of: "the claim of \(id)")
    }
    switch outcome {
    case "claimed" where answer.count == 3:
      let stored = try execution(id, hash: answer[1], tasks: answer[2])
      // An `unlist` of this session may have removed the entry, and read the owner, just before the claim.
      _ = try await send(listing(id, in: keys.executions(ownedBy: owner)))
      if previous != owner { try await unlist(id, from: previous) }
      return stored
    // The owner may be about to restore the execution.
    case "missing" where !isGone: return nil
    case "missing", "taken":
      // The claimant's own entry stays, for the reason that `unlist` gives.
      if previous != owner { try await unlist(id, from: previous) }
      return nil
    case "terminal":
      _ = try await pipeline([previous, owner].map { RedisCommand("SREM", keys.executions(ownedBy: $0), id) })
      return nil
    case "unreadable": throw StateStoreError.unreadable("execution \(id)")
    default: throw StateStoreError.unexpected(replies[1], of: "the claim of \(id)")
    }
  }
}

// MARK: Scripts

extension RedisStateStore {
  /// A script over an execution and its tasks.
  func script(_ script: RedisScript, _ id: String, _ arguments: [RedisArgument]) -> RedisCommand {
    .evaluate(script, keys: [keys.execution(id), keys.tasks(ofExecution: id)], arguments: arguments)
  }

  /// The execution in a reply of the script `read`.
  func read(_ id: String, _ reply: RESPValue) throws -> StoredExecution? {
    guard let answer = reply.array, answer.count == 2 else { throw StateStoreError.unexpected(reply, of: "the reading of \(id)") }
    return try execution(id, hash: answer[0], tasks: answer[1])
  }

  /// The arguments of the scripts that write a whole execution.
  private func arguments(of stored: StoredExecution) throws -> [RedisArgument] {
    let execution = stored.execution
    let fields = try fields(of: execution).arguments
    let header = header(
      execution.owner, epoch: execution.epoch, revision: execution.revision, recordings: execution.recordings)
    return try header + [RedisArgument(fields.count)] + fields + StoredTask.arguments(stored.tasks)
  }

  /// Adds an entry to an index by time, also at a server with full memory.
  private func dating(_ entry: String, _ time: Int64, in index: String) -> RedisCommand {
    .evaluate(IndexScripts.date, keys: [index], arguments: [RedisArgument(time), RedisArgument(entry)])
  }

  /// The first arguments of the scripts that write for an owner.
  private func header(_ owner: NodeSession, epoch: Int64, revision: Int64, recordings: Int64) -> [RedisArgument] {
    [
      RedisArgument(Self.formatVersion), RedisArgument(owner.nodeID), RedisArgument(owner.incarnation), RedisArgument(epoch),
      RedisArgument(revision), RedisArgument(recordings),
    ]
  }
}
