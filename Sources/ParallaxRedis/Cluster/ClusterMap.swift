/// The master of each slot, as one server of the cluster sees it.
struct ClusterMap: Sendable, Equatable {
  typealias Endpoint = RedisConfiguration.Endpoint

  /// The masters; a master that has just joined has no slots.
  private(set) var masters: [Endpoint] = []
  /// The index of each slot's master, or `nobody`.
  private(set) var owners = [UInt16](repeating: Self.nobody, count: HashSlot.count)
  /// The number of slots of each master.
  private var shares: [Int] = []
  /// The servers without slots that also know the cluster.
  private(set) var replicas: [Endpoint] = []
  /// The masters that the cluster announces without a host name, as `?`, at their addresses.
  private(set) var unnamed: [Endpoint] = []

  static let nobody = UInt16.max

  func master(of slot: Int) -> Endpoint? {
    owners[slot] == Self.nobody ? nil : masters[Int(owners[slot])]
  }

  /// The number of slots with a master.
  var coveredSlots: Int { shares.reduce(0, +) }

  /// The masters with slots.
  var owningMasters: Set<Endpoint> {
    Set(zip(masters, shares).lazy.filter { $0.1 > 0 }.map(\.0))
  }

  /// Whether a server owns slots.
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

  /// Adds a master and returns its index; `nil` if there are more masters than slots can be assigned to.
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

  /// Notes that the cluster announces a master without its host name.
  mutating func add(unnamed master: Endpoint) {
    if !unnamed.contains(master) { unnamed.append(master) }
  }
}
