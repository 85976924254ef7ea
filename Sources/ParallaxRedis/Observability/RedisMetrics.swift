import CoreMetrics
import Synchronization

/// The metrics of a client.
final class RedisMetrics: Sendable {
  /// The role of a connection.
  enum Role: String, Sendable, CaseIterable {
    case commands, subscriptions, leased, sentinel
  }

  /// A program with more command names than Redis has makes a mistake, which must not create an unlimited number of time series.
  private static let maximumFamilies = 512

  private let families = Mutex<[String: Timer]>([:])
  private let reconnects: Counter
  private let connections: [Role: Meter]

  init() {
    reconnects = Counter(label: "parallax_redis_reconnects_total")
    var connections: [Role: Meter] = [:]
    for role in Role.allCases {
      connections[role] = Meter(label: "parallax_redis_connections", dimensions: [("role", role.rawValue)])
    }
    self.connections = connections
  }

  func timer(for command: String) -> Timer {
    families.withLock { families in
      if let timer = families[command] { return timer }
      let family = families.count < Self.maximumFamilies ? command : "OTHER"
      let timer = families[family] ?? Timer(label: "parallax_redis_command_seconds", dimensions: [("command", family)])
      families[family] = timer
      return timer
    }
  }

  func reconnected() {
    reconnects.increment()
  }

  func opened(_ role: Role) {
    connections[role]?.increment()
  }

  func closed(_ role: Role) {
    connections[role]?.decrement()
  }
}

/// The timers of one connection by command, found without a lock, and without a look-up for a repeated command.
struct CommandTimers {
  private let metrics: RedisMetrics
  private var timers: [String: Timer] = [:]
  private var lastName = ""
  private var lastTimer: Timer?

  init(metrics: RedisMetrics) {
    self.metrics = metrics
  }

  mutating func record(_ name: String, nanoseconds: Int64) {
    if name != lastName || lastTimer == nil { find(name) }
    lastTimer?.recordNanoseconds(nanoseconds)
  }

  private mutating func find(_ name: String) {
    let timer = timers[name] ?? metrics.timer(for: name)
    if timers.count < 512 { timers[name] = timer }
    lastName = name
    lastTimer = timer
  }
}
