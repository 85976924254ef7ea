/// How a connection of an agent ended, as far as the agent's next registration tells.
enum ConnectionEnd: Sendable, Hashable {
  /// The same process has registered again, so only the connection broke.
  case broken
  /// Another process has registered under the agent's id.
  case died
  /// Nobody knows, as the agent does not name its processes. An agent that dies of a task breaks its connection soon, as some networks do.
  case unknown(isShort: Bool)

  /// The duration below which a connection counts as short.
  static let shortLife = Duration.seconds(10)

  /// Makes the end of a connection of a process, from the process of the next registration; nil for an unnamed one.
  ///
  /// The store does not tell the process of a registration whose announcement was lost, so an agent that has named its process before is
  /// then taken for alive.
  init(of process: String?, lasting duration: Duration?, next: String?) {
    switch (process, next) {
    case (let process?, let next?): self = process == next ? .broken : .died
    case (_?, nil): self = .broken
    case (nil, _): self = .unknown(isShort: duration.map { $0 < Self.shortLife } ?? false)
    }
  }
}

/// The deaths of an agent before and after each of which it reported a task.
struct Relapses: Sendable, Hashable {
  /// The number of deaths after which a task counts as lost although its agent reports it.
  static let most = 3

  private(set) var count = 0
  /// Whether a broken network cannot be the cause of any of them.
  private(set) var areProven = true

  var areTooMany: Bool { count >= Self.most }

  /// Returns the relapses with a further end of a connection; one of an unnamed process that lasted begins the count again.
  func adding(_ end: ConnectionEnd) -> Relapses {
    var sum = self
    switch end {
    case .broken: break
    case .died: sum.count += 1
    case .unknown(isShort: true): (sum.count, sum.areProven) = (count + 1, false)
    case .unknown(isShort: false): sum = Relapses()
    }
    return sum
  }
}
