import ParallaxHA
import ParallaxState

/// Schedules the rereads of executions that other nodes may have claimed, ended or changed.
struct OwnershipMachine: Sendable {
  /// The delay of a pulse beyond which the process counts as paused, or the machine as suspended.
  private static let pauseLimit = Duration.seconds(3)
  private static let pulseInterval = Duration.seconds(1)
  /// The interval between repeated offers of a waiting execution, in relocation delays.
  private static let relocationFactor = 20
  /// The time for which an execution that another node has claimed is kept; a claim is repeated within it.
  private static let handoverMemory = Duration.seconds(60)
  /// The time within which every owner has noticed that the store has lost its data, and begun to restore it.
  static let ownersTime = RestorationMachine.window + .seconds(2)

  private enum Timer: Sendable {
    /// The reread of an execution that other nodes work on or may have claimed.
    case recheck(String, watch: UInt64)
    /// The reread of all executions with tasks at other nodes, because messages from before a loss of writes may be lost too.
    case recheckAll
    /// The offer of an execution that waits here for agents that only other nodes have.
    case relocation(String, watch: UInt64)
    /// The read of an execution that its new owner declined.
    case declined(String)
    /// A pulse, which is late if the process was paused.
    case pulse(due: Duration)
  }

  /// A due piece of work.
  enum Due: Sendable {
    /// Reread an execution.
    case recheck(String)
    /// Reread all executions with tasks at other nodes.
    case recheckAll
    /// Offer an execution that still waits for agents to a node that has some.
    case relocation(String)
    /// Read an execution that its new owner declined.
    case declined(String)
    /// Reread all executions: the process was paused, so others may have claimed, ended or recorded anything.
    case paused
  }

  private struct Claims: Sendable {
    var count = 0
    /// Whether this node has driven the execution since one of the claims.
    var isOutdated = false
    /// The former owners in claims of the dispatcher, each with the further claim that follows: whether that one cancels, nil for none.
    var further: [NodeSession: Bool?] = [:]
  }

  private let settings: DispatchMachine.Settings
  private var timers = TimerQueue<Timer>()
  private var reads: WorkQueue
  private var rechecked: Set<String> = []
  /// The numbers of the executions of this node; a timer with another number is of an earlier watch.
  private var watches: [String: UInt64] = [:]
  private var lastWatch: UInt64 = 0
  /// The executions whose tasks at other nodes are delivered again if the next read shows them open.
  private var resent: Set<String> = []
  /// The tasks, by execution, that are delivered again if the next read shows them open.
  private var redelivered: [String: Set<String>] = [:]
  private var hasPulse = false
  /// The pending claims by execution.
  private var claims: [String: Claims] = [:]
  /// The outcomes that agents reported to this node, of executions that it left, until a read shows which of them the store has.
  private var reported: [String: [TaskRecord]] = [:]
  /// The executions that others have claimed from this node lately: until the reply to its claim, the new owner knows only the id.
  private var handedOver = Bounded<StoredExecution>(capacity: RecentWrites.greatestCapacity)
  /// The executions that their new owners declined, to be read.
  private var declined: Set<String> = []

  init(settings: DispatchMachine.Settings) {
    self.settings = settings
    reads = WorkQueue(settings.partitions)
  }

  var nextWake: Duration? { timers.next }
  var timerCount: Int { timers.count }

  // MARK: Watching

  /// Begins to watch an execution of this node.
  mutating func watch(_ id: String, at now: Moment) {
    claims[id]?.isOutdated = true
    reported[id] = nil
    declined.remove(id)
    lastWatch += 1
    watches[id] = lastWatch
    guard settings.hasPeers else { return }
    recheck(id, at: now)
    if !hasPulse { beat(at: now) }
  }

  /// Schedules the reread of an execution after the recheck interval.
  mutating func recheck(_ id: String, at now: Moment) {
    guard let watch = watches[id], rechecked.insert(id).inserted else { return }
    timers.add(.recheck(id, watch: watch), at: now.instant + settings.recheckInterval)
  }

  /// Schedules the reread of all executions with tasks at other nodes, after the store has been rewritten.
  mutating func recheckAll(at now: Moment) {
    timers.add(.recheckAll, at: now.instant + settings.redeliveryDelay)
  }

  /// Schedules the offer of a waiting execution to other nodes.
  mutating func offer(_ id: String, isRepeat: Bool = false, at now: Moment) {
    guard let delay = settings.relocationDelay, let watch = watches[id] else { return }
    timers.add(.relocation(id, watch: watch), at: now.instant + (isRepeat ? delay * Self.relocationFactor : delay))
  }

  /// Forgets an execution that this node no longer drives.
  mutating func forget(_ id: String) {
    claims[id]?.isOutdated = true
    watches[id] = nil
    rechecked.remove(id)
    resent.remove(id)
    redelivered[id] = nil
    let watches = watches
    timers.compact { timer in
      switch timer {
      case .recheck(let id, let watch), .relocation(let id, let watch): watches[id] == watch
      case .recheckAll, .declined, .pulse: true
      }
    }
  }

  /// Returns the due work; `isDriving` is whether this node drives any execution.
  mutating func timePassed(at now: Moment, isDriving: Bool) -> [Due] {
    var due: [Due] = []
    while let timer = timers.popDue(at: now.instant) {
      switch timer {
      case .recheck(let id, let watch):
        guard watches[id] == watch else { continue }
        rechecked.remove(id)
        due.append(.recheck(id))
      case .recheckAll: due.append(.recheckAll)
      case .relocation(let id, let watch): if watches[id] == watch { due.append(.relocation(id)) }
      case .declined(let id): due.append(.declined(id))
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

  // MARK: Claiming

  /// Records the start of a claim.
  mutating func claimBegins(_ id: String) { claims[id, default: Claims()].count += 1 }

  /// Records the end of a claim.
  ///
  /// - Returns: Whether this node has driven the execution since the claim; the reply may precede its changes under the same epoch.
  mutating func claimEnded(_ id: String) -> Bool {
    guard let ended = claims[id] else { return false }
    claims[id] = ended.count > 1 ? Claims(count: ended.count - 1, isOutdated: ended.isOutdated, further: ended.further) : nil
    return ended.isOutdated
  }

  /// Begins a claim of the dispatcher, or notes it for the end of an equal one that is under way, so that an outage gathers no claims.
  mutating func claim(_ id: String, from owner: NodeSession, cancels: Bool) -> [DispatchAction] {
    if let further = claims[id]?.further[owner] {
      claims[id]?.further[owner] = .some(cancels || further == true)
      return []
    }
    claimBegins(id)
    claims[id]?.further[owner] = .some(nil)
    return [.store(.claim(id, from: owner, cancels: cancels))]
  }

  /// Records the end of a claim of the dispatcher.
  ///
  /// - Returns: Whether the node has driven the execution since, and whether the further claim cancels; nil without one.
  mutating func claimEnded(_ id: String, from owner: NodeSession) -> (isOutdated: Bool, further: Bool?) {
    let further = claims[id]?.further.removeValue(forKey: owner) ?? nil
    return (claimEnded(id), further)
  }

  // MARK: Handing over

  /// Keeps the reported outcomes of an execution that this node leaves, until its next read.
  mutating func left(_ id: String, reported tasks: [TaskRecord]) {
    if settings.isStoreLossy, !tasks.isEmpty { reported[id] = tasks }
  }

  /// Returns and clears the reported outcomes of an execution that this node has left.
  mutating func takeReported(of id: String) -> [TaskRecord] { reported.removeValue(forKey: id) ?? [] }

  /// Records the reported outcomes of an execution that this node has left, if the store, which had acknowledged them, has lost them.
  mutating func recordReported(of found: StoredExecution, besides outcomes: [TaskRecord] = []) -> [DispatchAction] {
    let id = found.execution.id
    return takeReported(of: id).filter { task in
      found.tasks.contains { $0.state == .open && $0.isSame(as: task) } && !outcomes.contains { $0.isSame(as: task) }
    }.map { .store(.record($0, execution: id, messageID: nil)) }
  }

  /// Keeps an execution that another node has claimed, as the store had it.
  mutating func handedOver(_ stored: StoredExecution, at now: Moment) {
    guard settings.isStoreLossy else { return }
    handedOver.drop(before: now.instant - Self.handoverMemory)
    handedOver.add(stored, size: stored.approximateSize, at: now.instant)
  }

  /// Schedules the read of an execution that a node has not found in the store, for when any other owner has restored it.
  mutating func declined(_ id: String, at now: Moment) {
    guard handedOver.contains(where: { $0.execution.id == id }) else { return }
    timers.add(.declined(id), at: now.instant + Self.ownersTime)
  }

  /// Requests the read of an execution that its new owner declined.
  mutating func readDeclined(_ id: String) -> [DispatchAction] {
    declined.insert(id)
    return read(id)
  }

  /// Returns the execution that another node claimed from this one, and then declined, because the store had lost it.
  mutating func takeDeclined(_ id: String, at now: Moment) -> StoredExecution? {
    guard declined.remove(id) != nil else { return nil }
    handedOver.drop(before: now.instant - Self.handoverMemory)
    return handedOver.elements.last { $0.element.execution.id == id }?.element
  }

  // MARK: Reading

  /// Requests the read of an execution; reads of one execution do not overlap, and their number is bounded.
  mutating func read(_ id: String) -> [DispatchAction] {
    reads.add(id)
    return takeReads()
  }

  /// Requests the read of an execution, and another delivery of its open tasks to other nodes, which drop those that their agents have.
  mutating func readForTasks(of id: String) -> [DispatchAction] {
    resent.insert(id)
    return read(id)
  }

  /// Requests the read of an execution before one of its tasks is delivered again.
  mutating func readForTask(_ task: String, of id: String) -> [DispatchAction] {
    redelivered[id, default: []].insert(task)
    return read(id)
  }

  /// Records the end of a read, and returns the next ones.
  mutating func readEnded(_ id: String) -> [DispatchAction] {
    reads.finish(id)
    return takeReads()
  }

  /// Returns and clears the deliveries to repeat after the read of an execution.
  mutating func takeRepeats(of id: String) -> (isResent: Bool, tasks: Set<String>) {
    (resent.remove(id) != nil, redelivered.removeValue(forKey: id) ?? [])
  }

  private mutating func takeReads() -> [DispatchAction] {
    var actions: [DispatchAction] = []
    while let id = reads.next(width: settings.width) { actions.append(.store(.read(id))) }
    return actions
  }
}
