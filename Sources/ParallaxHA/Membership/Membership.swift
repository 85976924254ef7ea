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
/// While ``run()`` runs, the node writes its field every `checkInterval`, and at once after ``announce()``, and reads the others'. It
/// judges each member on its own continuous clock by when that member's field last changed; no clocks of different nodes are compared.
/// ``events()`` tells of changes, ``view`` is the present state.
///
/// Of several processes under one node id, the last one started keeps the field; the others find a ``twin``, and stop writing for good.
public final class Membership<Store: MembershipStore, C: Clock>: Service where C.Duration == Duration {
  private struct State {
    var judge: MembershipJudge
    /// What each heartbeat begins with.
    var template: MemberRecord
    var sequence: Int64 = 0
    var asOf: Date?
    var isBeatDue = false
    var isAnnounced = false
    var isRunning = false
    var failing: Set<StoreCall> = []
    /// Set once the read that they wait for has ended.
    var readers: [Deferred<Void>] = []
  }

  private enum StoreCall: String {
    case write = "written"
    case read = "read"
  }

  /// How many events are kept for a slow subscriber.
  private static var eventBuffer: Int { 1_024 }

  /// How often a starting node tries to take its field in one heartbeat, while other incarnations take the field too.
  private static var joinAttempts: Int { 3 }

  /// This life of the node.
  public let session: NodeSession

  /// How the node watches the others.
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

  /// Makes a membership; nothing is written before ``run()``.
  ///
  /// - Parameters:
  ///   - store: Where the fields are kept.
  ///   - session: This life of the node.
  ///   - clusterID: The cluster that the node takes part in; nil if it runs alone.
  ///   - address: Where the node's API is reached, `host:port`; ``setAddress(_:)`` changes it.
  ///   - version: The version of the software, for people.
  ///   - settings: How the node watches the others.
  ///   - clock: The node's clock, which goes on while the computer sleeps, as `ContinuousClock` does.
  ///   - wallClock: The instants that people read in the field; never used to decide.
  ///   - logger: Where outages of the store and twins are reported, each once.
  ///   - report: The node's state, asked at each heartbeat; must not block.
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

  /// The members as they were last read, judged at this moment.
  public var view: MembershipView {
    let now = now
    return state.withLock { $0.judge.view(now: now, asOf: $0.asOf) }
  }

  /// Whether other nodes may be taking over this node's work: it could not write for the detection window, or has a twin.
  ///
  /// Computed at each call, so `true` at once in a process that was paused.
  public var isCutOff: Bool {
    let now = now
    return state.withLock { $0.judge.isCutOff(now: now) }
  }

  /// The process under the same node id that took this node's field, if one did; final.
  public var twin: MemberRecord? { state.withLock { $0.judge.twin } }

  /// The events from now on, until ``run()`` ends.
  ///
  /// Each call makes a sequence for one consumer; a consumer that falls behind by 1,024 events loses the oldest.
  public func events() -> AsyncStream<MembershipEvent> {
    broadcast.subscribe(buffering: Self.eventBuffer).stream()
  }

  // MARK: Actions

  /// Sets where the node's API is reached, for a node that learns its address only after the membership was made.
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
  /// Returns the last known view at once when the last read failed or ``run()`` does not run, and early when the task is cancelled.
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

  /// Removes the field of a member that is gone for good, if the field is still of this incarnation.
  ///
  /// - Parameter session: The life of the member.
  /// - Throws: ``MembershipError`` with `timedOut`, or what the store throws; the field may be gone or not.
  public func remove(_ session: NodeSession) async throws {
    try await bounded { [store] in try await store.remove(session) }
  }

  /// Writes and reads until the task is cancelled or a graceful shutdown begins; to be called once.
  ///
  /// On a graceful shutdown the node leaves: it removes its field, so that the others know at once. A cancelled task leaves the field in
  /// place, as a crash does. `run()` goes on while the store cannot be reached.
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
      notice { state, now in
        state.asOf = asOf
        return state.judge.read(snapshot, now: now)
      }
    } catch {
      state.withLock { $0.judge.readFailed() }
      failed(.read, error)
    }
  }

  private func leave() async {
    do {
      try await remove(session)
    } catch {
      logger.warning(
        "the node's membership could not be removed; the other nodes notice its silence", metadata: ["error": "\(error)"])
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

  /// Bounds a call of the store by the time-out.
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
    // What was just written was said by a node that was cut off.
    if events.contains(.reconnected) { announce() }
  }

  private func log(_ event: MembershipEvent) {
    switch event {
    case .joined(let member): logger.info("a member joined", metadata: ["member": "\(member.session)", "address": "\(member.address)"])
    case .left(let member): logger.info("a member left", metadata: ["member": "\(member.session)"])
    case .restarted(let member, let former):
      logger.info("a member restarted", metadata: ["member": "\(member.session)", "former": "\(former)"])
    case .becameUnhealthy(let member): logger.warning("a member is silent", metadata: ["member": "\(member.session)"])
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
