import ParallaxAPI
import ParallaxHA
import ParallaxRedis
import ParallaxState

/// The fields and values of a hash, as HSET takes them.
struct FieldList {
  private(set) var arguments: [RedisArgument] = []

  mutating func set(_ name: String, _ value: String) {
    arguments.append(RedisArgument(name))
    arguments.append(RedisArgument(value))
  }

  mutating func set(_ name: String, _ value: Int64) {
    arguments.append(RedisArgument(name))
    arguments.append(RedisArgument(value))
  }

  mutating func set(_ name: String, _ value: Timestamp?) {
    if let value { set(name, value.description) }
  }

  mutating func set(json value: (some JSONWritable)?, _ name: String, of what: @autoclosure () -> String) throws {
    guard let value else { return }
    arguments.append(RedisArgument(name))
    arguments.append(RedisArgument(try StoredValue.bytes(value, what())))
  }
}

/// The fields of a hash that was read, with errors that name the faulty field.
struct FieldReader {
  let what: String
  let fields: [String: RESPValue]

  func text(_ name: String) throws -> String {
    guard let text = fields[name]?.string else { throw fault(name) }
    return text
  }

  func integer(_ name: String) throws -> Int64 {
    guard let value = Int64(try text(name)) else { throw fault(name) }
    return value
  }

  func instant(_ name: String) throws -> Timestamp {
    guard let value = Timestamp(try text(name)) else { throw fault(name) }
    return value
  }

  func choice<Value: RawRepresentable<String>>(_ name: String) throws -> Value {
    guard let value = Value(rawValue: try text(name)) else { throw fault(name) }
    return value
  }

  func json<Value: Decodable>(_ name: String) throws -> Value {
    try StoredValue.decode(try text(name), "\(name) of \(what)")
  }

  /// The value that `read` makes of a field; nil without that field.
  func optional<Value>(_ name: String, _ read: (String) throws -> Value) throws -> Value? {
    fields[name] == nil ? nil : try read(name)
  }

  private func fault(_ name: String) -> StateStoreError {
    StateStoreError(.unreadable, "\(what) cannot be read: the field \(name) is missing or malformed")
  }
}

extension RedisStateStore {
  /// All fields of a new execution.
  func fields(of execution: Execution) throws -> FieldList {
    var list = FieldList()
    list.set("version", Int64(Self.formatVersion))
    list.set("status", execution.status.rawValue)
    list.set("pattern", execution.pattern.name)
    list.set("startedAt", execution.startedAt)
    list.set("nodeId", execution.owner.nodeID)
    list.set("incarnation", execution.owner.incarnation)
    list.set("epoch", execution.epoch)
    list.set("revision", execution.revision)
    list.set("createdAt", execution.createdAt)
    list.set("completedAt", execution.completedAt)
    list.set("deadline", execution.deadline)
    list.set("attempt", Int64(execution.attempt))
    list.set("priority", execution.priority.rawValue)
    if let key = execution.idempotencyKey { list.set("idempotencyKey", key) }
    if let digest = execution.idempotencyDigest { list.set("idempotencyDigest", digest) }
    list.set("definition", try definitions.text(of: execution.pattern))
    try list.set(json: execution.input, "input", of: "the input of \(execution.id)")
    try list.set(json: execution.result, "result", of: "the result of \(execution.id)")
    try list.set(json: execution.error, "error", of: "the error of \(execution.id)")
    try list.set(json: execution.metadata, "metadata", of: "the metadata of \(execution.id)")
    return list
  }

  /// The fields that a change sets.
  func fields(of change: ExecutionChange) throws -> FieldList {
    var list = FieldList()
    list.set("revision", change.revision)
    if let status = change.status { list.set("status", status.rawValue) }
    list.set("startedAt", change.startedAt)
    list.set("completedAt", change.completedAt)
    if let attempt = change.attempt { list.set("attempt", Int64(attempt)) }
    try list.set(json: change.result, "result", of: "the result of \(change.id)")
    try list.set(json: change.error, "error", of: "the error of \(change.id)")
    return list
  }

  /// Reads the hashes of an execution and of its tasks; nil for a missing execution and for a tombstone.
  func execution(_ id: String, hash: RESPValue, tasks: RESPValue) throws -> StoredExecution? {
    guard let fields = hash.map, fields["version"] != nil else { return nil }
    let reader = FieldReader(what: "execution \(id)", fields: fields)
    guard try reader.integer("version") <= Self.formatVersion else { throw StateStoreError.unreadable(reader.what) }
    let execution = Execution(
      id: id,
      pattern: try definitions.definition(from: reader.text("definition"), reader.what),
      status: try reader.choice("status"),
      priority: try reader.choice("priority"),
      input: try reader.json("input"),
      result: try reader.optional("result", reader.json),
      error: try reader.optional("error", reader.json),
      metadata: try reader.optional("metadata", reader.json),
      idempotencyKey: try reader.optional("idempotencyKey", reader.text),
      idempotencyDigest: try reader.optional("idempotencyDigest", reader.text),
      createdAt: try reader.instant("createdAt"),
      startedAt: try reader.optional("startedAt", reader.instant),
      completedAt: try reader.optional("completedAt", reader.instant),
      deadline: try reader.instant("deadline"),
      attempt: Int(clamping: try reader.integer("attempt")),
      owner: NodeSession(nodeID: try reader.text("nodeId"), incarnation: try reader.text("incarnation")),
      epoch: try reader.integer("epoch"),
      revision: try reader.integer("revision"),
      // Earlier versions of the program have no recordings.
      recordings: try reader.optional("recordings", reader.integer) ?? 0)
    return StoredExecution(execution: execution, tasks: try StoredTask.list(tasks, of: reader.what))
  }
}
