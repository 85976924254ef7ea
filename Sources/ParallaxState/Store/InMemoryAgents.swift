import ParallaxHA

/// The agents, indexed by id and by session.
struct InMemoryAgents {
  private var byID: [String: AgentRecord] = [:]
  private var bySession: [NodeSession: Set<String>] = [:]
  /// The highest epoch of any agent, so that a removed agent does not get an earlier epoch again when it returns.
  private var epoch: Int64 = 0

  subscript(id: String) -> AgentRecord? { byID[id] }

  mutating func register(_ record: AgentRecord) -> Int64 {
    epoch = max(epoch, record.epoch) + 1
    var record = record
    record.epoch = epoch
    if let former = byID.updateValue(record, forKey: record.id) { unlist(former) }
    bySession[record.session, default: []].insert(record.id)
    return epoch
  }

  mutating func update(_ record: AgentRecord) -> Bool {
    guard let index = byID.index(forKey: record.id), byID.values[index].epoch == record.epoch else { return false }
    byID.values[index].capabilities = record.capabilities
    byID.values[index].maxConcurrentTasks = record.maxConcurrentTasks
    byID.values[index].isConnected = record.isConnected
    return true
  }

  mutating func remove(_ id: String, epoch: Int64) {
    guard let record = byID[id], record.epoch == epoch else { return }
    byID[id] = nil
    unlist(record)
  }

  func records(at session: NodeSession) -> [AgentRecord] {
    bySession[session].map { $0.compactMap { byID[$0] } } ?? []
  }

  private mutating func unlist(_ record: AgentRecord) {
    bySession[record.session]?.remove(record.id)
    if bySession[record.session]?.isEmpty == true { bySession[record.session] = nil }
  }
}
