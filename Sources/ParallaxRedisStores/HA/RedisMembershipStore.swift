import ParallaxAPI
public import ParallaxHA
public import ParallaxRedis

/// Keeps the members' fields in one Redis hash, as JSON that operators can read.
///
/// Calls throw the client's `RedisError`. The client must run, with ``scripts`` passed to its initializer.
public struct RedisMembershipStore: MembershipStore {
  /// The scripts to load on every new connection.
  public static let scripts: [RedisScript] = MembershipScripts.all

  private let client: RedisClient
  private let key: String
  private let condition: WriteCondition?

  /// Makes a store.
  ///
  /// - Parameters:
  ///   - client: A client of the cluster's server and database.
  ///   - keys: The names of the keys.
  public init(client: RedisClient, keys: KeySpace) {
    self.init(client: client, keys: keys, condition: nil)
  }

  /// Makes a store that reports refused writes to `condition`.
  package init(client: RedisClient, keys: KeySpace, condition: WriteCondition?) {
    self.client = client
    self.condition = condition
    key = keys.members
  }

  /// Writes a member's field if it still has the expected incarnation.
  public func write(_ record: MemberRecord, replacing incarnation: String?) async throws -> MemberWriteOutcome {
    let text = try JSON.text(record)
    let arguments = [record.id, record.incarnation, incarnation ?? "", text].map { RedisArgument($0) }
    let reply: RESPValue
    do {
      reply = try await client.evaluate(MembershipScripts.write, keys: [key], arguments: arguments, idempotent: true)
    } catch let error as RedisError {
      condition?.failed(error, forKey: key)
      throw error
    }
    let parts = reply.array ?? []
    switch parts.first?.string {
    case "added": return .added
    case "renewed": return .renewed
    case "replaced": return .replaced
    case "twin":
      guard let holder = parts.last?.string else { throw unreadable(record.id, "no text") }
      do {
        return .twin(try JSON.decode(from: holder))
      } catch {
        throw unreadable(record.id, APIError(decoding: error, of: "the record").message)
      }
    case "unreadable": throw unreadable(record.id, "it has no incarnation")
    default: throw MembershipError(.unreadable, "Redis gave an unexpected answer to the write of \(key)")
    }
  }

  /// The fields of all members, in one read.
  public func members() async throws -> MembershipSnapshot {
    let reply = try await client.send(RedisCommand("HGETALL", key).idempotent)
    var snapshot = MembershipSnapshot(records: [])
    for (id, value) in reply.map ?? [:] {
      do {
        let record: MemberRecord = try JSON.decode(from: value.string ?? "")
        if record.id == id {
          snapshot.records.append(record)
        } else {
          snapshot.unreadable[id] = "it is of another id, \"\(record.id)\""
        }
      } catch {
        snapshot.unreadable[id] = APIError(decoding: error, of: "the record").message
      }
    }
    return snapshot
  }

  /// Removes a member's field if it still has the given incarnation.
  public func remove(_ session: NodeSession) async throws {
    _ = try await client.evaluate(
      MembershipScripts.remove, keys: [key], arguments: [.init(session.nodeID), .init(session.incarnation)], idempotent: true)
  }

  /// How often a mark is tried over a field that changes meanwhile: a dead process has few heartbeats left to arrive.
  private static let markAttempts = 8

  /// Marks a member's field as that of a process that has ended, if it still has the given incarnation.
  public func markEnded(_ session: NodeSession, _ end: MemberEnd) async throws -> Bool {
    for _ in 0..<Self.markAttempts {
      guard let text = try await client.send(RedisCommand("HGET", key, session.nodeID).idempotent).string else { return false }
      var record: MemberRecord
      do {
        record = try JSON.decode(from: text)
      } catch {
        throw unreadable(session.nodeID, APIError(decoding: error, of: "the record").message)
      }
      guard record.session == session else { return false }
      if record.end != nil { return true }
      record.end = end
      let arguments = [session.nodeID, text, try JSON.text(record)].map { RedisArgument($0) }
      // A repeat of an executed exchange finds its own text; the next attempt then finds the mark.
      let reply = try await client.evaluate(MembershipScripts.exchange, keys: [key], arguments: arguments, idempotent: true)
      if reply.int == 1 { return true }
    }
    throw MembershipError(
      .timedOut, "the field \"\(session.nodeID)\" of \(key) changed during each of \(Self.markAttempts) attempts to mark it")
  }

  private func unreadable(_ nodeID: String, _ reason: String) -> MembershipError {
    MembershipError(
      .unreadable, "the field \"\(nodeID)\" of \(key) cannot be read: \(reason). If no node has this id, remove it: HDEL \(key) \(nodeID)")
  }
}
