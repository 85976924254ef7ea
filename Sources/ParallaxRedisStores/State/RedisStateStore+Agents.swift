import ParallaxAPI
public import ParallaxHA
import ParallaxRedis
public import ParallaxState

extension RedisStateStore {
  /// Registers an agent and returns its new epoch.
  public func register(_ record: AgentRecord) async throws -> Int64 {
    let arguments = [RedisArgument(Self.formatVersion), RedisArgument(record.epoch)] + (try fields(of: record).arguments)
    let replies = try await pipeline(
      [listing(record.id, in: keys.agents(at: record.session))],
      then: .evaluate(AgentScripts.register, keys: [keys.agent(record.id)], arguments: arguments))
    let answer = replies[1].array?.map(\.string) ?? []
    if answer.first == "unreadable" { throw StateStoreError.unreadable("agent \(record.id)") }
    guard answer.count == 4, let epoch = answer[1].flatMap({ Int64($0) }) else {
      throw StateStoreError.unexpected(replies[1], of: "the registration of \(record.id)")
    }
    if let former = Self.session(answer[2], answer[3]), former != record.session {
      _ = try await send(RedisCommand("SREM", keys.agents(at: former), record.id))
    }
    return epoch
  }

  /// Applies a change if the registration still has the record's epoch.
  public func update(_ record: AgentRecord) async throws -> Bool {
    var fields = FieldList()
    try setChangeable(record, in: &fields)
    let reply = try await send(
      .evaluate(
        AgentScripts.update, keys: [keys.agent(record.id)],
        arguments: [RedisArgument(Self.formatVersion), RedisArgument(record.epoch)] + fields.arguments))
    switch reply.string {
    case "applied": return true
    case "stale": return false
    case "unreadable": throw StateStoreError.unreadable("agent \(record.id)")
    default: throw StateStoreError.unexpected(reply, of: "the update of \(record.id)")
    }
  }

  /// Removes an agent if it still has this epoch.
  public func removeAgent(_ id: String, epoch: Int64, session: NodeSession) async throws {
    let reply = try await send(
      .evaluate(
        AgentScripts.remove, keys: [keys.agent(id)],
        arguments: [
          RedisArgument(Self.formatVersion), RedisArgument(epoch), RedisArgument(AgentScripts.epochLifetime.wholeMilliseconds),
        ]))
    let answer = reply.array?.map(\.string) ?? []
    switch answer.first {
    case "removed": break
    case "stale" where answer.count == 3:
      if Self.session(answer[1], answer[2]) == session { return }
    case "unreadable": throw StateStoreError.unreadable("agent \(id)")
    default: throw StateStoreError.unexpected(reply, of: "the removal of \(id)")
    }
    try await unlistAgent(id, at: session)
  }

  /// The agent, or nil.
  public func agent(_ id: String) async throws -> AgentRecord? {
    try agent(id, try await send(RedisCommand("HGETALL", keys.agent(id))))
  }

  /// All agents registered at a session.
  public func agents(at session: NodeSession) async throws -> [AgentRecord] {
    let ids = try await send(RedisCommand("SMEMBERS", keys.agents(at: session))).strings
    let hashes = try await pipelines(ids.map { RedisCommand("HGETALL", keys.agent($0)) })
    return try readable(zip(ids, hashes), agent).filter { $0.session == session }
  }

  /// Removes an agent from a session's list.
  ///
  /// If the agent has registered at the session again meanwhile, its entry is restored.
  private func unlistAgent(_ id: String, at session: NodeSession) async throws {
    let replies = try await pipeline(
      [RedisCommand("SREM", keys.agents(at: session), id)], then: RedisCommand("HMGET", keys.agent(id), "nodeId", "incarnation"))
    let now = replies[1].array?.map(\.string) ?? []
    if now.count == 2, Self.session(now[0], now[1]) == session {
      _ = try await send(listing(id, in: keys.agents(at: session)))
    }
  }

  private static func session(_ nodeID: String?, _ incarnation: String?) -> NodeSession? {
    guard let nodeID, let incarnation else { return nil }
    return NodeSession(nodeID: nodeID, incarnation: incarnation)
  }
}

// MARK: Fields

extension RedisStateStore {
  /// The fields of a registration without its epoch, which the script sets.
  private func fields(of record: AgentRecord) throws -> FieldList {
    var list = FieldList()
    list.set("version", Int64(Self.formatVersion))
    list.set("nodeId", record.session.nodeID)
    list.set("incarnation", record.session.incarnation)
    list.set("connectedAt", record.connectedAt)
    try setChangeable(record, in: &list)
    if let name = record.name { list.set("name", name) }
    try list.set(json: record.metadata, "metadata", of: "the metadata of \(record.id)")
    try list.set(json: record.activeTasks, "activeTasks", of: "the active tasks of \(record.id)")
    return list
  }

  /// The fields that change while an agent is registered.
  private func setChangeable(_ record: AgentRecord, in list: inout FieldList) throws {
    try list.set(json: record.capabilities, "capabilities", of: "the capabilities of \(record.id)")
    list.set("maxConcurrentTasks", Int64(record.maxConcurrentTasks))
    list.set("status", record.isConnected ? "connected" : "disconnected")
  }

  /// Reads the hash of an agent; nil without a registration.
  private func agent(_ id: String, _ hash: RESPValue) throws -> AgentRecord? {
    guard let fields = hash.map, fields["nodeId"] != nil else { return nil }
    let reader = FieldReader(what: "agent \(id)", fields: fields)
    guard try reader.integer("version") <= Self.formatVersion else { throw StateStoreError.unreadable(reader.what) }
    return AgentRecord(
      id: id, name: try reader.optional("name", reader.text), capabilities: try reader.json("capabilities"),
      maxConcurrentTasks: Int(clamping: try reader.integer("maxConcurrentTasks")),
      metadata: try reader.optional("metadata", reader.json),
      session: NodeSession(nodeID: try reader.text("nodeId"), incarnation: try reader.text("incarnation")),
      epoch: try reader.integer("epoch"), connectedAt: try reader.instant("connectedAt"),
      isConnected: try reader.text("status") == "connected", activeTasks: try reader.optional("activeTasks", reader.json))
  }
}
