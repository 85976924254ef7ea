/// Which master has which slots, as one server of the cluster sees it.
struct ClusterMap: Sendable, Equatable {
  typealias Endpoint = RedisConfiguration.Endpoint

  /// The masters; one that has just joined has no slots yet.
  private(set) var masters: [Endpoint] = []
  /// For each slot the index of its master, or `nobody`.
  private(set) var owners = [UInt16](repeating: Self.nobody, count: HashSlot.count)
  /// How many slots each of the masters has.
  private var shares: [Int] = []
  /// The servers that have none, but know the cluster too.
  private(set) var replicas: [Endpoint] = []

  static let nobody = UInt16.max

  func master(of slot: Int) -> Endpoint? {
    owners[slot] == Self.nobody ? nil : masters[Int(owners[slot])]
  }

  /// How many slots have a master.
  var coveredSlots: Int { shares.reduce(0, +) }

  /// Which of the masters have slots.
  var owningMasters: Set<Endpoint> {
    Set(zip(masters, shares).lazy.filter { $0.1 > 0 }.map(\.0))
  }

  /// Whether a server has slots.
  func isOwning(_ server: Endpoint) -> Bool {
    masters.firstIndex(of: server).map { shares[$0] > 0 } ?? false
  }

  /// Gives slots to a master.
  mutating func assign(_ slots: ClosedRange<Int>, to master: Endpoint) {
    guard let index = add(master: master) else { return }
    for slot in slots.clamped(to: 0...HashSlot.count - 1) {
      if owners[slot] != Self.nobody { shares[Int(owners[slot])] -= 1 }
      owners[slot] = UInt16(index)
      shares[index] += 1
    }
  }

  /// Adds a master; its index, or `nil` if there are more masters than slots could be given to.
  @discardableResult
  mutating func add(master: Endpoint) -> Int? {
    if let known = masters.firstIndex(of: master) { return known }
    guard masters.count < HashSlot.count else { return nil }
    masters.append(master)
    shares.append(0)
    return masters.count - 1
  }

  mutating func add(replica: Endpoint) {
    if !replicas.contains(replica) { replicas.append(replica) }
  }
}
