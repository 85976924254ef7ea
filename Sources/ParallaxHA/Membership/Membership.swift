public import Logging
import ParallaxConcurrency
public import ServiceLifecycle
import Synchronization

#if canImport(FoundationEssentials)
public import FoundationEssentials
#else
public import Foundation
#endif

/// A node's membership in its cluster: writes the node's heartbeat, and watches the heartbeats of the others.
///
/// While ``run()`` runs, the node writes its field every `checkInterval`, and at once after ``announce()``, and reads the other fields. It
/// judges each member on its own continuous clock by the last change of that member's field; clocks of different nodes are never compared.
/// ``events()`` reports changes, ``view`` is the current state.
///
/// Of several processes with one node id, the last one to start keeps the field; the others find a ``twin``, and stop writing for good.
public final class Membership<Store: MembershipStore, C: Clock>: Service where C.Duration == Duration {
  private struct State {
    var judge: MembershipJudge
    /// The constant parts of each heartbeat.
    var template: MemberRecord
    var sequence: Int64 = 0
    var asOf: Date?
    var isBeatDue = false
    var isAnnounced = false
    var isRunning = false
    var hasLeft = false
    var failing: Set<StoreCall> = []
    /// Set after the read that the callers wait for.
    var readers: [Deferred<Void>] = []
  }

  private enum StoreCall: String {
    case write = "written"
    case read = "read"
  }

  /// The number of events that are kept for a slow subscriber.
  private static var eventBuffer: Int { 1_024 }

  /// How often a starting node tries to take its field in one heartbeat while other incarnations take it too.
  private static var joinAttempts: Int { 3 }

  /// The node's session.
  public let session: NodeSession

  /// The settings of the mutual observation.
  public let settings: MembershipSettings

  private let store: Store
  private let clock: C
  private let origin: C.Instant
  private let wallClock: @Sendable () -> Date
  private let report: @Sendable () -> MemberReport
  private let logger: Logger
  private let state: Mutex<State>
  private let wakeUp = WakeUp()
  private let broadcast = Broadcast<MembershipEvent>()

  /// Creates a membership, which writes from ``run()`` on.
  ///
  /// - Parameters:
  ///   - store: The store of the fields.
  ///   - session: The node's session.
  ///   - clusterID: The cluster of the node; nil, the default, if it runs alone.
  ///   - address: The address of the node's API, `host:port`; ``setAddress(_:)`` changes it.
  ///   - version: The version of the software, for people.
  ///   - settings: The settings of the mutual observation.
  ///   - clock: The node's clock, which must continue while the computer sleeps, like `ContinuousClock`.
  ///   - wallClock: The clock of the instants for people in the field; it decides nothing.
  ///   - logger: The logger of outages of the store and of twins, each of which is logged once.
  ///   - report: The node's state at each heartbeat; must not block.
  public init(
    store: Store, session: NodeSession, clusterID: String? = nil, address: String, version: String, settings: MembershipSettings, clock: C,
    wallClock: @escaping @Sendable () -> Date = { Date.now }, logger: Logger, report: @escaping @Sendable () -> MemberReport
  ) {
    self.store = store
    self.session = session
    self.settings = settings
    self.clock = clock
    self.wallClock = wallClock
    self.report = report
    self.logger = logger
    origin = clock.now
    let start = wallClock()
    let template = MemberRecord(
      session: session, clusterID: clusterID, address: address, sequence: 0, report: report(), checkInterval: settings.checkInterval,
      startedAt: start,
      lastHeartbeat: start, version: version)
    state = Mutex(State(judge: MembershipJudge(record: template, settings: settings, now: .zero), template: template))
  }

  // MARK: State

  /// The members of the last read, judged at this moment.
  public var view: MembershipView {
    let now = now
    return state.withLock { $0.judge.view(now: now, asOf: $0.asOf) }
  }

  /// Whether other nodes may be taking over this node's work: it has not written for the detection window, or has a twin.
  ///
  /// Computed at each call, so it is `true` at once in a process that was paused.
  public var isCutOff: Bool {
    let now = now
    return state.withLock { $0.judge.isCutOff(now: now) }
  }

  /// The process with the same node id that took this node's field, or nil; final.
  public var twin: MemberRecord? { state.withLock { $0.judge.twin } }

  /// Whether the node has left its cluster: the store has acknowledged the removal of its field.
  package var hasLeft: Bool { state.withLock { $0.hasLeft } }

  /// The events from now on, until ``run()`` ends.
  ///
  /// Each call returns a sequence for one consumer; a consumer that falls behind by 1,024 events loses the oldest.
  public func events() -> AsyncStream<MembershipEvent> {
    broadcast.subscribe(buffering: Self.eventBuffer).stream()
  }

  // MARK: Actions

  /// Sets the address of the node's API, if it is known only after the membership was created.
  ///
  /// The next write of the field has the address.
  ///
  /// - Parameter address: The address, `host:port`.
  public func setAddress(_ address: String) {
    state.withLock { state in
      state.template.address = address
      state.judge.setAddress(address)
    }
  }

  /// Writes the field at once, after a change of the node's role or term; returns before the write.
  public func announce() {
    state.withLock { $0.isAnnounced = true }
    wakeUp.signal()
  }

  /// Reads the members and returns the view; concurrent callers share one read.
  ///
  /// Returns the last known view at once if the last read failed or ``run()`` does not run, and early if the task is cancelled.
  public func refreshedView() async -> MembershipView {
    let done = Deferred<Void>()
    let isAwaited = state.withLock { state in
      guard state.isRunning, !state.failing.contains(.read) else { return false }
      state.readers.append(done)
      return true
    }
    if isAwaited {
      wakeUp.signal()
      try? await done.value()
    }
    return view
  }

  /// Removes the field of a member that has ended for good, if the field still has this incarnation.
  ///
  /// - Parameter session: The member's session.
  /// - Throws: ``MembershipError`` with `timedOut`, or the store's error; the outcome is then unknown.
  public func remove(_ session: NodeSession) async throws {
    try await bounded { [store] in try await store.remove(session) }
  }

  /// Writes and reads until the task is cancelled or a graceful shutdown begins; may be called once.
  ///
  /// On a graceful shutdown the node leaves: it removes its field, so that the other nodes know at once. A cancelled task leaves the field
  /// in place, as a crash does. `run()` continues while the store cannot be reached.
  public func run() async throws {
    state.withLock { $0.isRunning = true }
    await cancelWhenGracefulShutdown {
      await withDiscardingTaskGroup { group in
        group.addTask { await self.wakeEveryInterval() }
        for await _ in self.wakeUp { await self.beat() }
        group.cancelAll()
      }
    }
    if !Task.isCancelled, twin == nil { await leave() }
    end()
  }
}

// MARK: Heartbeats

extension Membership {
  private var now: Duration { origin.duration(to: clock.now) }

  private func wakeEveryInterval() async {
    await every(settings.checkInterval, clock: clock) {
      state.withLock { $0.isBeatDue = true }
      wakeUp.signal()
    }
  }

  private func beat() async {
    let (isDue, isAnnounced, readers) = state.withLock { state in
      defer {
        state.isBeatDue = false
        state.isAnnounced = false
        state.readers = []
      }
      return (state.isBeatDue, state.isAnnounced, state.readers)
    }
    if isDue || isAnnounced { await write() }
    if isDue || !readers.isEmpty { await read() }
    for reader in readers { reader.set() }
  }

  private func write() async {
    for _ in 0..<Self.joinAttempts {
      let report = report()
      let heartbeat = wallClock()
      let next: (record: MemberRecord, replaced: String?)? = state.withLock { state in
        guard state.judge.twin == nil else { return nil }
        state.sequence += 1
        var record = state.template
        record.sequence = state.sequence
        record.report = report
        record.lastHeartbeat = heartbeat
        return (record, state.judge.replacedIncarnation)
      }
      guard let next else { return }
      let sentAt = now
      do {
        let outcome = try await bounded { [store] in try await store.write(next.record, replacing: next.replaced) }
        succeeded(.write)
        notice { $0.judge.wrote(next.record, outcome, sentAt: sentAt, now: $1) }
        guard case .twin = outcome else { return }
      } catch {
        failed(.write, error)
        return notice { $0.judge.check(now: $1) }
      }
    }
  }

  private func read() async {
    do {
      let snapshot = try await bounded { [store] in try await store.members() }
      let asOf = wallClock()
      succeeded(.read)
      contradictDeath(in: snapshot)
      notice { state, now in
        state.asOf = asOf
        return state.judge.read(snapshot, now: now)
      }
    } catch {
      state.withLock { $0.judge.readFailed() }
      failed(.read, error)
    }
  }

  /// Whoever recorded the death of this process was wrong, or the store has the field of a former life again; the next heartbeat takes it.
  private func contradictDeath(in snapshot: MembershipSnapshot) {
    guard let own = snapshot.records.first(where: { $0.id == session.nodeID }), own.end != nil else { return }
    if own.incarnation == session.incarnation {
      logger.error(
        "another process has recorded the end of this one, which lives; other nodes may have taken over its work. Find who records deaths without proof",
        metadata: ["node": "\(session)"])
    }
    announce()
  }

  private func leave() async {
    do {
      try await remove(session)
      state.withLock { $0.hasLeft = true }
    } catch {
      logger.warning(
        "cannot remove the node's membership; the other nodes will detect its silence", metadata: ["error": "\(error)"])
    }
  }

  private func end() {
    let readers = state.withLock { state in
      state.isRunning = false
      defer { state.readers = [] }
      return state.readers
    }
    broadcast.finish()
    for reader in readers { reader.set() }
  }

  /// Limits a call of the store to the time-out.
  private func bounded<Value: Sendable>(_ call: @escaping @Sendable () async throws -> Value) async throws -> Value {
    do {
      return try await withTimeout(settings.timeout, clock: clock, call)
    } catch is TimeoutError {
      throw MembershipError(.timedOut, "the store did not answer within \(settings.timeout)")
    }
  }
}

// MARK: Events

extension Membership {
  private func notice(_ change: (inout State, Duration) -> [MembershipEvent]) {
    let now = now
    let events = state.withLock { change(&$0, now) }
    for event in events { log(event) }
    broadcast.send(events)
    // The last write has the role and term of a node that was cut off, so the field is written again.
    if events.contains(.reconnected) { announce() }
  }

  private func log(_ event: MembershipEvent) {
    switch event {
    case .joined(let member): logger.info("a member joined", metadata: ["member": "\(member.session)", "address": "\(member.address)"])
    case .left(let member): logger.info("a member left", metadata: ["member": "\(member.session)"])
    case .restarted(let member, let former):
      logger.info("a member restarted", metadata: ["member": "\(member.session)", "former": "\(former)"])
    case .becameUnhealthy(let member): logger.warning("a member is silent", metadata: ["member": "\(member.session)"])
    case .ended(let member):
      logger.warning(
        "the process of a member has ended, says its witness",
        metadata: ["member": "\(member.session)", "cause": "\(member.end?.cause?.description ?? "unknown")"])
    case .becameHealthy(let member): logger.info("a silent member is back", metadata: ["member": "\(member.session)"])
    case .cutOff:
      logger.error("this node is cut off: it could not write for \(settings.detectionWindow), and other nodes take over its work")
    case .reconnected: logger.info("this node is no longer cut off")
    case .twin(let other):
      logger.critical(
        "another process runs under this node's id; this process stops taking part. Give each node an id of its own (node.id)",
        metadata: ["node": "\(session)", "twin": "\(other.session)", "address": "\(other.address)"])
    }
  }

  private func succeeded(_ call: StoreCall) {
    let hadFailed = state.withLock { $0.failing.remove(call) != nil }
    if hadFailed { logger.info("the members can be \(call.rawValue) again") }
  }

  private func failed(_ call: StoreCall, _ error: any Error) {
    guard !Task.isCancelled else { return }
    let isFirst = state.withLock { $0.failing.insert(call).inserted }
    if isFirst { logger.warning("the members cannot be \(call.rawValue)", metadata: ["error": "\(error)"]) }
  }
}
