/// The leases of a bounded number of connections, and the callers that wait for one.
///
/// A pure value, generic so that tests need no connections.
struct LeaseStateMachine<Connection, Waiter> {
  enum Answer {
    case use(Connection)
    /// A place is reserved: open a connection, or call ``LeaseStateMachine/released()``.
    case open
    case wait
    case refuse
  }

  enum Handover {
    case use(Waiter, Connection)
    case open(Waiter)
    /// No caller waits; a connection, if any, has been kept.
    case none
    /// The connection must be closed.
    case close(Connection)
  }

  private let maximum: Int
  private let maximumIdle: Int
  private var idle: [Connection] = []
  private var leased = 0
  private var waiting: [(id: UInt64, waiter: Waiter)] = []
  private var isShutDown = false

  init(maximum: Int, maximumIdle: Int) {
    self.maximum = maximum
    self.maximumIdle = maximumIdle
  }

  mutating func request(_ id: UInt64, _ waiter: Waiter) -> Answer {
    if isShutDown { return .refuse }
    if leased >= maximum {
      waiting.append((id, waiter))
      return .wait
    }
    leased += 1
    return idle.popLast().map { .use($0) } ?? .open
  }

  mutating func cancel(_ id: UInt64) -> Waiter? {
    guard let index = waiting.firstIndex(where: { $0.id == id }) else { return nil }
    return waiting.remove(at: index).waiter
  }

  /// A connection returns in the state in which it was leased.
  mutating func gaveBack(_ connection: Connection) -> Handover {
    if !waiting.isEmpty { return .use(waiting.removeFirst().waiter, connection) }
    leased -= 1
    if isShutDown || idle.count >= maximumIdle { return .close(connection) }
    idle.append(connection)
    return .none
  }

  /// A place is free without a connection.
  mutating func released() -> Handover {
    if !waiting.isEmpty { return .open(waiting.removeFirst().waiter) }
    leased -= 1
    return .none
  }

  /// Removes and returns the idle connections that meet a condition.
  mutating func takeIdle(where isTaken: (Connection) -> Bool) -> [Connection] {
    defer { idle.removeAll(where: isTaken) }
    return idle.filter(isTaken)
  }

  mutating func shutDown() -> (idle: [Connection], waiting: [Waiter]) {
    isShutDown = true
    defer {
      idle = []
      waiting = []
    }
    return (idle, waiting.map(\.waiter))
  }
}
