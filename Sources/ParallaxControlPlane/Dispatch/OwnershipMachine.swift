import ParallaxState

/// Schedules the rereading of executions that other nodes may have claimed, ended or changed.
struct OwnershipMachine: Sendable {
  /// How late a pulse shows that the process was paused, or the machine asleep.
  private static let pauseLimit = Duration.seconds(3)
  private static let pulseInterval = Duration.seconds(1)
  /// After how many times the relocation delay an execution that still waits is offered to another node again.
  private static let relocationFactor = 20

  private enum Timer: Sendable {
    /// An execution that other nodes work on or may have taken.
    case recheck(String)
    /// Messages to other nodes that went out before the store lost writes may be lost, too.
    case recheckAll
    /// An execution that waits here for agents that only other nodes have.
    case relocation(String)
    /// Comes late if the process was paused.
    case pulse(due: Duration)
  }

  /// What is due.
  enum Due: Sendable {
    /// An execution may be read again.
    case recheck(String)
    /// All executions with tasks at other nodes are to be read.
    case recheckAll
    /// An execution that still waits for agents may be given to a node that has some.
    case relocation(String)
    /// The process was paused: others may have taken, ended or recorded anything.
    case paused
  }

  private let settings: DispatchMachine.Settings
  private var timers = TimerQueue<Timer>()
  private var reads = WorkQueue()
  private var rechecked: Set<String> = []
  /// Executions whose tasks at other nodes go there once more if the next reading shows them open.
  private var resent: Set<String> = []
  /// Tasks that go to their agents once more if the next reading shows them open, by execution.
  private var redelivered: [String: Set<String>] = [:]
  private var hasPulse = false

  init(settings: DispatchMachine.Settings) {
    self.settings = settings
  }

  var nextWake: Duration? { timers.next }
  var timerCount: Int { timers.count }

  // MARK: Watching

  /// Watches over an execution that this node begins to drive.
  mutating func watch(_ id: String, at now: Moment) {
    guard settings.hasPeers else { return }
    recheck(id, at: now)
    if !hasPulse { beat(at: now) }
  }

  /// Has an execution read some time later.
  mutating func recheck(_ id: String, at now: Moment) {
    guard rechecked.insert(id).inserted else { return }
    timers.add(.recheck(id), at: now.instant + settings.recheckInterval)
  }

  /// Has all executions with tasks at other nodes read, once the store has been written anew.
  mutating func recheckAll(at now: Moment) {
    timers.add(.recheckAll, at: now.instant + settings.redeliveryDelay)
  }

  /// Offers an execution that waits for agents to other nodes, some time later.
  mutating func offer(_ id: String, isRepeat: Bool = false, at now: Moment) {
    guard let delay = settings.relocationDelay else { return }
    timers.add(.relocation(id), at: now.instant + (isRepeat ? delay * Self.relocationFactor : delay))
  }

  /// Forgets an execution that this node does not drive any more; `isDriven` says which it does.
  mutating func forget(_ id: String, isDriven: (String) -> Bool) {
    rechecked.remove(id)
    resent.remove(id)
    redelivered[id] = nil
    timers.compact { timer in
      switch timer {
      case .recheck(let id), .relocation(let id): isDriven(id)
      case .recheckAll, .pulse: true
      }
    }
  }

  /// What is due; `isDriving`: this node drives executions.
  mutating func timePassed(at now: Moment, isDriving: Bool) -> [Due] {
    var due: [Due] = []
    while let timer = timers.popDue(at: now.instant) {
      switch timer {
      case .recheck(let id):
        rechecked.remove(id)
        due.append(.recheck(id))
      case .recheckAll: due.append(.recheckAll)
      case .relocation(let id): due.append(.relocation(id))
      case .pulse(let instant):
        hasPulse = false
        guard isDriving else { continue }
        beat(at: now)
        if now.instant - instant > Self.pauseLimit { due.append(.paused) }
      }
    }
    return due
  }

  private mutating func beat(at now: Moment) {
    hasPulse = true
    let due = now.instant + Self.pulseInterval
    timers.add(.pulse(due: due), at: due)
  }

  // MARK: Reading

  /// Has an execution read; each is read once at a time, and few at once.
  mutating func read(_ id: String) -> [DispatchAction] {
    reads.add(id)
    return takeReads()
  }

  /// Has an execution read, and its tasks at other nodes passed on again where their agents have not got them.
  mutating func readForTasks(of id: String) -> [DispatchAction] {
    resent.insert(id)
    return read(id)
  }

  /// Has an execution read before one of its tasks goes to its agent once more.
  mutating func readForTask(_ task: String, of id: String) -> [DispatchAction] {
    redelivered[id, default: []].insert(task)
    return read(id)
  }

  /// The reading of an execution has ended.
  mutating func readEnded(_ id: String) -> [DispatchAction] {
    reads.finish(id)
    return takeReads()
  }

  /// What goes to agents once more now that an execution was read.
  mutating func takeRepeats(of id: String) -> (isResent: Bool, tasks: Set<String>) {
    (resent.remove(id) != nil, redelivered.removeValue(forKey: id) ?? [])
  }

  private mutating func takeReads() -> [DispatchAction] {
    var actions: [DispatchAction] = []
    while let id = reads.next(width: settings.width) { actions.append(.store(.read(id))) }
    return actions
  }
}
