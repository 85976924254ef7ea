/// Which master has which slots, as one server of the cluster sees it.
struct ClusterMap: Sendable, Equatable {
  typealias Endpoint = RedisConfiguration.Endpoint

  /// The masters; one that has just joined has no slots yet.
  private(set) var masters: [Endpoint] = []
  /// For each slot the index of its master, or `nobody`.
  private(set) var owners = [UInt16](repeating: Self.nobody, count: HashSlot.count)
  /// The servers that have none, but know the cluster too.
  private(set) var replicas: [Endpoint] = []

  static let nobody = UInt16.max

  func master(of slot: Int) -> Endpoint? {
    owners[slot] == Self.nobody ? nil : masters[Int(owners[slot])]
  }

  /// How many slots have a master.
  var coveredSlots: Int { owners.count { $0 != Self.nobody } }

  /// Which of the masters have slots.
  var owningMasters: Set<Endpoint> {
    Set(Set(owners).subtracting([Self.nobody]).map { masters[Int($0)] })
  }

  /// Gives slots to a master.
  mutating func assign(_ slots: ClosedRange<Int>, to master: Endpoint) {
    guard let index = add(master: master) else { return }
    for slot in slots.clamped(to: 0...HashSlot.count - 1) { owners[slot] = UInt16(index) }
  }

  /// Adds a master; its index, or `nil` if there are more masters than slots could be given to.
  @discardableResult
  mutating func add(master: Endpoint) -> Int? {
    if let known = masters.firstIndex(of: master) { return known }
    guard masters.count < HashSlot.count else { return nil }
    masters.append(master)
    return masters.count - 1
  }

  mutating func add(replica: Endpoint) {
    if !replicas.contains(replica) { replicas.append(replica) }
  }
}
