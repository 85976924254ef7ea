import ParallaxAPI
import ParallaxControlPlane
import ParallaxHA
import ParallaxState
import ParallaxTesting

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// A simulated node: its process and clocks, its calls and messages, and the surroundings of the dispatcher in the product.
///
/// Only ``SimulatedDispatcher`` uses the machines of the dispatcher.
final class SimulatedNode {
  static let resumeGrace = Duration.seconds(30)
  static let checkInterval = 5.0
  private static let collectionRounds = Int(CollectionRound.interval / .seconds(checkInterval))
  private static let openInterval = 3.75
  /// The time after its receipt within which an outcome is stored and acknowledged.
  static let keepDelay = Int64.seconds(20)
  /// The silence after which an agent's connection ends, in seconds.
  static let heartbeatTimeout = 30.0
  private static let agentReadInterval = 60.0
  private static let settings: MembershipSettings = {
    do { return try MembershipSettings() } catch { preconditionFailure("\(error)") }
  }()

  struct Link {
    var epoch: Int64
    var agent: SimulatedAgent
    var connection: Int
  }

  let index: Int
  unowned let world: ExecutionSimulation
  private(set) var session: NodeSession
  private(set) var isUp = false
  private(set) var isPaused = false
  /// The stage of the node's shutdown; nil before it.
  var stop: SimulatedStop?
  /// The time since which nothing disturbs the process.
  var wellSince: Int64 = 0
  private(set) var dispatcher: SimulatedDispatcher
  private(set) var links: [String: Link] = [:]
  /// The number of the process's present life; work of former lives is dropped.
  private(set) var life = 0
  private var pauses = 0
  /// The work that arrived during a pause of the process.
  private var deferred: [() -> Void] = []
  private let rate: Double
  /// The error of the wall clock, in nanoseconds.
  private var wallOffset: Int64 = 0
  private var startedAt: Int64 = 0
  private var storeTime = StoreTime()
  private var cutUntil: Int64 = 0
  private var deafUntil: Int64 = 0
  /// Whether a scenario loses the answers to this node's reads of executions; `losesClaims` likewise for its claims, which take effect.
  var losesReads = false
  var losesClaims = false
  private var calls: UInt64 = 0
  private var messages: UInt64 = 0
  private var frames: UInt64 = 0
  /// The number of store calls without an answer yet.
  private(set) var callsUnderWay = 0
  private var judge: MembershipJudge
  private var sequence: Int64 = 0
  /// The operation on the members in progress, followed by the waiting ones.
  private var memberWork: [(@escaping () -> Void) -> Void] = []
  private var ledger = RecoveryLedger(resumeGrace: SimulatedNode.resumeGrace)
  private var foreign = ForeignEntries()
  private var gone: Set<NodeSession> = []
  private var openedAt: Int64?
  private var openings = SessionOpenings()
  /// Whether an opening of the session has no answer.
  private(set) var isOpening = false
  private var isReadingAgents = false
  private var readsAgentsAgain = false
  private var waits: [String: [UInt64: SimulatedWait]] = [:]
  private var lastWait: UInt64 = 0
  private var rounds = 0

  init(_ index: Int, in world: ExecutionSimulation) {
    self.index = index
    self.world = world
    session = NodeSession(nodeID: "node-\(index)", incarnation: "0")
    let error = world.mix.clockRateError
    var rate = 1.0
    if error > 0, var draws = world.chance.strikes(.clockRate, node: index) { rate += draws.happens(0.5) ? error : -error }
    self.rate = rate
    if world.mix.wallClockError > 0, var draws = world.chance.strikes(.wallClock, node: index) {
      wallOffset = Int64(draws.between(-1e9, 1e9) * world.mix.wallClockError)
    }
    judge = MembershipJudge(record: Self.record(session, 0), settings: Self.settings, now: .zero)
    dispatcher = SimulatedDispatcher(session)
  }

  private static func record(_ session: NodeSession, _ sequence: Int64, isStopping: Bool = false) -> MemberRecord {
    let instant = Date(timeIntervalSince1970: 0)
    return MemberRecord(
      session: session, address: session.nodeID, sequence: sequence, report: MemberReport(health: isStopping ? .unhealthy : .healthy),
      startedAt: instant, lastHeartbeat: instant, version: "simulated")
  }

  // MARK: Clocks

  var instant: Duration { .nanoseconds(Int64(Double(world.now - startedAt) * rate)) }
  var wall: Timestamp {
    storeTime.wall(at: instant) ?? ExecutionSimulation.start + .nanoseconds(world.now + wallOffset)
  }

  /// The error of the node's time, in nanoseconds.
  var clockError: Int64 { (wall - ExecutionSimulation.start).nanoseconds - world.now }

  func jump(by nanoseconds: Int64) {
    world.note("the wall clock of \(session) jumps by \((nanoseconds / 1_000_000)) ms")
    wallOffset += nanoseconds * 1_000_000
  }

  /// Runs an operation in this life of the process, once the process is not paused.
  func here(after delay: Int64 = 0, _ body: @escaping () -> Void) {
    let current = life
    world.plan(after: delay) {
      guard self.life == current, self.isUp else { return }
      if self.isPaused { self.deferred.append(body) } else { body() }
    }
  }

  /// Runs an operation likewise, after a time by the node's own clock.
  func here(afterOwn seconds: Double, _ body: @escaping () -> Void) { here(after: Int64(seconds * 1e9 / rate), body) }

  // MARK: The process

  var isCut: Bool { world.now < cutUntil || world.now < world.store.awayUntil }
  var isDeaf: Bool { isCut || world.now < deafUntil }

  private var isOpen: Bool { isUp && !isPaused && openedAt != nil && storeTime.wall(at: instant) != nil && !isCutOff }
  /// Whether other nodes may be taking over, as in `NodeCondition`.
  private var isCutOff: Bool { openedAt.map { world.now - $0 >= .seconds(15) } ?? false || judge.isCutOff(now: instant) }
  /// Whether the node serves callers.
  var takesWork: Bool { isOpen && stop == nil }
  /// Whether the node serves agents, as it does until its own work has ended.
  var takesAgents: Bool { isOpen && stop?.stage != .draining }

  var isBusy: Bool { isUp && dispatcher.executionCount > 0 }

  func start() {
    life += 1
    (isUp, isPaused, stop) = (true, false, nil)
    world.disturbed()
    becomeWell()
    session = NodeSession(nodeID: "node-\(index)", incarnation: "\(life)")
    startedAt = world.now - .seconds(1)
    (links, gone, waits, deferred, memberWork) = ([:], [], [:], [], [])
    (openedAt, isReadingAgents, readsAgentsAgain, sequence, rounds, callsUnderWay) = (nil, false, false, 0, 0, 0)
    openings = SessionOpenings()
    ledger = RecoveryLedger(resumeGrace: Self.resumeGrace)
    foreign = ForeignEntries()
    storeTime = StoreTime()
    judge = MembershipJudge(record: Self.record(session, 0), settings: Self.settings, now: instant)
    dispatcher = SimulatedDispatcher(session, at: self)
    world.note("\(session) starts")
    beat()
    watchCutOff(wasCutOff: false)
    openAgain()
    readAgentsAgain()
    tellLoadsAgain()
  }

  func die(for time: Int64, isSilent: Bool = false) {
    guard isUp else { return }
    world.note("\(session) dies")
    world.countDeath()
    end(isSilent: isSilent)
    let current = life
    world.plan(after: time) { if self.life == current, !self.isUp { self.start() } }
  }

  private func end(isSilent: Bool) {
    isUp = false
    wellSince = .max
    life += 1
    guard !isSilent else { return }
    hangUpAll()
  }

  func pause(for time: Int64) {
    guard isUp, !isPaused else { return }
    world.note("\(session) pauses for \(time.text) s")
    isPaused = true
    wellSince = .max
    pauses += 1
    let current = (life, pauses)
    world.plan(after: time) { if (self.life, self.pauses) == current { self.resume() } }
  }

  /// The process runs; it does its work once it reaches the store.
  private func becomeWell() { wellSince = max(world.now, cutUntil, world.store.awayUntil) }

  private func resume() {
    guard isPaused else { return }
    world.note("\(session) continues")
    isPaused = false
    world.disturbed()
    becomeWell()
    let waiting = deferred
    deferred = []
    for body in waiting { if isPaused { deferred.append(body) } else { body() } }
    dispatcher.wake()
  }

  /// Breaks the network between this node and the store.
  func cut(for time: Int64) {
    guard world.now + time > cutUntil else { return }
    world.note("\(session) is cut off for \(time.text) s")
    cutUntil = world.now + time
    reconnect(after: time)
  }

  /// Connects to the store anew, after which writes may be lost and events were missed.
  func reconnect(after time: Int64) {
    wellSince = max(wellSince, world.now + time)
    here(after: time) {
      guard !self.isCut else { return }
      self.world.disturbed()
      self.dispatcher.handle(.storeReset(connectedAt: self.instant))
      self.open()
      self.readAgents()
    }
  }

  /// Breaks the event subscription of this node.
  func deafen(for time: Int64) {
    world.note("\(session) hears no events for \(time.text) s")
    deafUntil = max(deafUntil, world.now + time)
    here(after: time) { if !self.isDeaf { self.readAgents() } }
  }

  func heal() {
    let wasCut = world.now < cutUntil
    if wasCut { cutUntil = 0 }
    resume()
    if wasCut {
      if isUp, stop == nil { becomeWell() }
      reconnect(after: 0)
    }
    if world.now < deafUntil {
      deafUntil = 0
      readAgents()
    }
    if !isUp { start() }
  }

  // MARK: The store

  /// Draws the pause between a failed call and its repeat.
  private func backoff() -> Int64 {
    calls += 1
    var draws = world.chance.draws(.backoff, node: index, number: calls)
    return Int64(draws.between(2e7, 2e9))
  }

  /// What a call needs of the store.
  enum Need {
    case reading
    /// A master; a store with full memory takes the write, as `FullMemory` says for Redis.
    case admittedWrite
    /// A master with free memory.
    case write
  }

  /// Calls the store, and repeats the call until an answer arrives.
  ///
  /// - Parameters:
  ///   - need: What the call needs, at each attempt.
  ///   - id: The execution that the call may change.
  ///   - onFailure: The operation after the failure of the first attempt.
  ///   - onRepeat: The operation before each repeat.
  ///   - request: The call.
  ///   - done: The handler of the answer.
  func call<Value>(
    _ need: @autoclosure @escaping () -> Need = .write, about id: String? = nil, onFailure: (() -> Void)? = nil,
    onRepeat: @escaping () -> Void = {}, _ request: @escaping (SimulatedStore) -> Value, _ done: @escaping (Value) -> Void = { _ in }
  ) {
    callsUnderWay += 1
    checkBounds()
    attempt(need(), about: id, request) { [self] value in
      if let value {
        callsUnderWay -= 1
        return done(value)
      }
      onFailure?()
      callsUnderWay -= 1
      onRepeat()
      let end = max(cutUntil, world.store.awayUntil, need() != .reading ? world.store.refusesUntil : 0)
      here(after: max(0, end - world.now) + backoff()) { self.call(need(), about: id, onRepeat: onRepeat, request, done) }
    }
  }

  /// Calls the store once; the result is nil if the call failed, in which case it may have taken effect.
  func attempt<Value>(
    _ need: Need = .write, about id: String? = nil, _ request: @escaping (SimulatedStore) -> Value, _ done: @escaping (Value?) -> Void
  ) {
    let current = life
    calls += 1
    let number = calls
    world.countCall()
    let strikes = world.faultsAreOn
    let fail = { self.here(after: .seconds(0.5)) { done(nil) } }
    let takeEffect: () -> Value = { [world] in
      let value = request(world.store)
      if let id { world.check(id) }
      return value
    }
    guard !isCut else { return fail() }
    if strikes, world.chance.strikes(.lostRequest, node: index, number: number, probability: world.mix.losesRequest) != nil {
      return fail()
    }
    if strikes, var draws = world.chance.strikes(.lateRequest, node: index, number: number, probability: world.mix.delaysRequest) {
      // The caller has given up before, and repeats the request.
      let isRefused = { [world] in world.store.refuses(need, at: world.now) || world.now < world.store.awayUntil }
      world.plan(after: Int64(draws.between(0.5, max(0.5, world.mix.longestDelay)) * 1e9)) { if !isRefused() { _ = takeEffect() } }
      return fail()
    }
    world.plan(after: world.travel(index, number)) { [self] in
      guard !isCut, !world.store.refuses(need, at: world.now) else { return life == current ? fail() : () }
      let value = takeEffect()
      guard life == current else { return }
      if strikes, world.chance.strikes(.lostReply, node: index, number: number, probability: world.mix.losesReply) != nil { return fail() }
      var way = world.travel(index + 100, number)
      if strikes, var draws = world.chance.strikes(.lateReply, node: index, number: number, probability: world.mix.delaysReply) {
        way = Int64(draws.between(0, world.mix.longestDelay) * 1e9)
      }
      here(after: way) { if self.isCut { fail() } else { done(value) } }
    }
  }

  /// Checks that the number of concurrent calls is bounded by the numbers of executions and agents.
  private func checkBounds() {
    let limit = 200 + 8 * (dispatcher.executionCount + promisesOfLife) + 8 * world.agents.count
    if callsUnderWay > limit { world.violate(.unbounded, "\(session) has \(callsUnderWay) calls of the store under way") }
  }

  private var promisesOfLife: Int { world.promises.live.count }

  // MARK: Members

  private func beat() {
    rounds += 1
    inTurn { self.writeMember(then: $0) }
    readMembers {}
    lead()
    here(afterOwn: Self.checkInterval) { self.beat() }
  }

  /// Tells the dispatcher whether the node is cut off, as `NodeLifecycle` does.
  private func watchCutOff(wasCutOff: Bool) {
    let isCutOff = isCutOff
    if isCutOff || wasCutOff { dispatcher.handle(.agent(.cutOff(isCutOff))) }
    here(afterOwn: 1) { self.watchCutOff(wasCutOff: isCutOff) }
  }

  /// Announces that the node stops, as `NodeMembership` does, and returns the sessions that can take over its work.
  func announceStop(then next: @escaping ([NodeSession]) -> Void) {
    inTurn { self.writeMember(then: $0) }
    readMembers(orElse: { next(self.successors) }, then: { next(self.successors) })
  }

  private var successors: [NodeSession] {
    judge.view(now: instant, asOf: nil).members.filter { $0.status == .healthy && $0.record.session != session }.map(\.record.session)
  }

  /// Serializes writes and reads of members, as `Membership` does.
  private func inTurn(_ work: @escaping (_ done: @escaping () -> Void) -> Void) {
    memberWork.append(work)
    if memberWork.count == 1 { takeTurn() }
  }

  private func takeTurn() {
    memberWork.first? { [self] in
      memberWork.removeFirst()
      takeTurn()
    }
  }

  private func readMembers(orElse failed: @escaping () -> Void = {}, then next: @escaping () -> Void) {
    inTurn { [self] done in
      attempt(.reading, { $0.members }) { [self] members in
        if let members {
          perform(
            judge.read(MembershipSnapshot(records: members.values.sorted { $0.session.description < $1.session.description }), now: instant)
          )
          next()
        } else {
          judge.readFailed()
          failed()
        }
        done()
      }
    }
  }

  private func writeMember(attempts: Int = 3, then done: @escaping () -> Void) {
    sequence += 1
    let (former, sentAt) = (judge.replacedIncarnation, instant)
    let record = Self.record(session, sequence, isStopping: stop != nil)
    attempt(.admittedWrite, { $0.write(record, replacing: former) }) { outcome in
      guard let outcome else {
        self.perform(self.judge.check(now: self.instant))
        return done()
      }
      self.perform(self.judge.wrote(record, outcome, sentAt: sentAt, now: self.instant))
      if case .twin = outcome, attempts > 1 { self.writeMember(attempts: attempts - 1, then: done) } else { done() }
    }
  }

  private func perform(_ events: [MembershipEvent]) {
    let policy = ClusterEventPolicy(session: session)
    for event in events {
      for effect in policy.effects(of: event) {
        switch effect {
        case .readAgents: readAgents()
        case .regained(let other): gone.remove(other)
        case .lost(let other):
          world.note("\(session) takes \(other) for lost")
          gone.insert(other)
          dispatcher.handle(.agent(.memberLost(other)))
        case .releaseAgents:
          world.note("\(session) is cut off from the others")
          // An agent that is asked to reconnect leaves once another node has registered it.
          for id in links.keys.sorted() { if let link = links[id] { say(to: link.agent) { link.agent.askedToReconnect(link.connection) } } }
        case .readMembers, .announced, .patternChanged, .publishLoads, .markerReturned, .activity: break
        }
      }
    }
  }

  /// Opens the session of this node.
  private func open() {
    let (session, begin) = (session, world.now)
    isOpening = true
    attempt(.admittedWrite, { $0.state.open(session) }) { [self] isNew in
      guard let isNew else { return openings.failed() }
      guard openings.needsGeneration else { return opened(at: begin, isNew: isNew, generation: nil) }
      attempt(.reading, { $0.state.sessions()[session] }) { [self] generation in
        guard let generation else { return openings.failed() }
        opened(at: begin, isNew: isNew, generation: generation)
      }
    }
  }

  private func opened(at begin: Int64, isNew: Bool, generation: Int64?) {
    self.openedAt = begin
    let sentAt = self.instant
    self.attempt(.reading, { $0.state.currentTime() }) { time in
      if let time { self.storeTime.read(time, sentAt: sentAt, receivedAt: self.instant) }
    }
    isOpening = false
    // Other nodes had closed this session, or the store has lost its data.
    if openings.answered(isNew: isNew, generation: generation) {
      self.world.note("the store had forgotten \(session)")
      for id in self.links.keys.sorted() { self.registerAnew(id) }
      self.dispatcher.handle(.storeReset(connectedAt: nil))
    }
  }

  private func openAgain() {
    open()
    here(afterOwn: Self.openInterval) { self.openAgain() }
  }

  // MARK: The leader's duties

  private func lead() {
    let session = session
    // The duties of a node begin when its session is open.
    guard stop == nil, openedAt != nil else { return }
    attempt(.admittedWrite, { [world] in $0.lead(session, at: world.now) }) { leads in
      guard leads == true else { return }
      self.recover()
      if self.rounds % Self.collectionRounds == 0 { self.collect() }
      if self.rounds % 12 == 0 {
        self.checkOverdue()
        self.findStrays()
      }
    }
  }

  /// Removes ended executions that are due.
  private func collect() {
    guard let retention = world.mix.retention else { return }
    attempt(.reading, { $0.state.currentTime() }) { time in
      guard let time else { return }
      self.collect(CollectionRound(storeTime: time, retention: .seconds(retention), maxRetained: self.world.mix.maxRetained))
    }
  }

  private func collect(_ round: CollectionRound) {
    attempt(
      .admittedWrite,
      { [world] store in
        defer { world.collected() }
        return store.state.removeExecutions(
          createdBefore: round.oldest, maxRetained: round.maxRetained, limit: CollectionRound.batchSize)
      }
    ) { removed in
      guard let removed, !round.isOver(afterRemoving: removed) else { return }
      self.here(after: .seconds(0.02)) { self.collect(round) }
    }
  }

  private func recover() {
    attempt(.reading, { $0.state.sessions() }) { [self] sessions in
      guard let sessions else { return }
      // The order of the product: members are read after the sessions.
      readMembers { [self] in
        let view = judge.view(now: instant, asOf: nil)
        let plan = RecoveryDuty.plan(sessions, view, own: session, removeAfter: .seconds(600))
        ledger.beginRound(plan.lost.keys)
        for (lost, generation) in plan.lost.sorted(by: { $0.key.description < $1.key.description }) {
          recover(lost, generation: generation)
        }
      }
    }
  }

  private func recover(_ lost: NodeSession, generation: Int64) {
    let (session, began) = (session, instant)
    attempt(.reading, { $0.state.agents(at: lost).sorted { $0.id < $1.id } }) { [self] records in
      guard let records else { return }
      for record in records { dispatcher.handle(.agent(.expected(record.id, epoch: record.epoch, home: lost))) }
      attempt(.reading, { $0.state.executions(ownedBy: lost).sorted() }) { [self] ids in
        guard let ids else { return }
        // A round ends with its last claim, and the first failed claim aborts it.
        var (left, hasFailed) = (ids.count, false)
        let end = { [self] in
          guard !hasFailed, !ledger.recovered(lost, since: began), ledger.mayClose(lost, at: began) else { return }
          close(lost, generation: generation)
        }
        if ids.isEmpty { return end() }
        for id in ids {
          dispatcher.handle(.recovering(id))
          attempt(.admittedWrite, about: id, { $0.claim(id, from: lost, isGone: true, to: session) }) { outcome in
            left -= 1
            self.dispatcher.handle((outcome ?? nil).map { .recovered($0) } ?? .notRecovered(id))
            if outcome == nil {
              hasFailed = true
              self.dispatcher.handle(.message(.adopt(execution: id, owner: lost)))
            }
            if left == 0 { end() }
          }
        }
      }
    }
  }

  private func close(_ lost: NodeSession, generation: Int64) {
    attempt(.reading, { $0.state.agents(at: lost).sorted { $0.id < $1.id } }) { [self] records in
      guard let records else { return }
      for record in records {
        attempt(.admittedWrite, { $0.state.removeAgent(record.id, epoch: record.epoch, session: lost) }) { _ in }
      }
      attempt(.reading, { $0.state.executions(ownedBy: lost) }) { [self] owned in
        guard owned?.isEmpty == true else { return }
        attempt(.admittedWrite, { $0.state.close(lost, generation: generation) }) { done in
          guard done != nil else { return }
          self.world.note("\(lost) is closed")
          self.ledger.closed(lost)
        }
      }
    }
  }

  /// Reminds owners of executions long past their deadlines, and removes list entries of executions with other owners.
  private func checkOverdue() {
    foreign.beginRound()
    attempt(.reading, { $0.state.sessions() }) { [self] sessions in
      for owner in (sessions ?? [:]).keys.sorted(by: { $0.description < $1.description }) {
        attempt(.reading, { store in store.state.executions(ownedBy: owner).sorted().compactMap { store.state.execution($0) } }) {
          [self] found in
          for stored in found ?? [] { judge(stored.execution, listedFor: owner) }
        }
      }
    }
  }

  /// Takes over executions of sessions that are listed nowhere.
  private func findStrays() {
    guard !isCut, !strays.isEmpty else { return }
    here(afterOwn: Double(StrayExecutions.patience.nanoseconds) / 1e9) { [self] in
      guard !isCut else { return }
      for (lost, ids) in strays.sorted(by: { $0.key.description < $1.key.description }) {
        world.note("\(session) takes over \(ids) of \(lost), which is listed nowhere")
        claim(ids.sorted(), from: lost)
      }
    }
  }

  private var strays: [NodeSession: [String]] {
    let executions = StrayExecutions.statuses.flatMap { world.store.state.executions(ExecutionQuery(status: $0, limit: .max)).executions }
    return StrayExecutions.strays(among: executions.map(\.execution), sessions: world.store.state.sessions())
  }

  private func claim(_ ids: [String], from lost: NodeSession) {
    let session = session
    for id in ids {
      dispatcher.handle(.recovering(id))
      attempt(.admittedWrite, about: id, { $0.claim(id, from: lost, isGone: true, to: session) }) { outcome in
        self.dispatcher.handle((outcome ?? nil).map { .recovered($0) } ?? .notRecovered(id))
        if outcome == nil { self.dispatcher.handle(.message(.adopt(execution: id, owner: lost))) }
      }
    }
  }

  private func judge(_ execution: Execution, listedFor owner: NodeSession) {
    switch OverdueExecutions.judge(execution, listedFor: owner, at: wall) {
    case .none: break
    case .remind where owner == session: dispatcher.handle(.outcomeRecorded(of: execution.id))
    case .remind: tell(.recorded(execution: execution.id, task: ""), owner)
    case .ended: attempt(.admittedWrite, { $0.state.release(execution.id, owner: owner) }) { _ in }
    case .foreign:
      guard foreign.found(execution, listedFor: owner) else { return }
      attempt(.admittedWrite, { $0.state.release(execution.id, owner: owner) }) { _ in }
    }
  }

  // MARK: Callers

  /// Handles a request for an execution as the API does.
  func execute(_ request: SimulatedRequest, as id: String, _ answer: @escaping (SimulatedCaller.Answer) -> Void) {
    here { [self] in
      guard takesWork else { return answer(.refused) }
      let created = wall
      var execution = Execution(
        id: id, pattern: request.pattern, input: .integer(Int64(request.number)), createdAt: created,
        deadline: created + .nanoseconds(request.timeout), owner: session)
      guard let key = request.key else { return create(execution, request, answer) }
      (execution.idempotencyKey, execution.idempotencyDigest) = (key, "")
      // As `RestorationGate` does.
      guard !mayBeRestoring else { return executeSoon(request, as: id, answer) }
      let session = session
      attempt(
        .write,
        {
          let claim = $0.state.claimIdempotencyKey(key, executionID: id, digest: "", lifetime: .seconds(86_400))
          return (claim, isKnown: $0.state.sessions()[session] != nil)
        }
      ) { [self] (outcome: (claim: IdempotencyClaim, isKnown: Bool)?) in
        guard let outcome else { return answer(.refused) }
        switch outcome.claim {
        case .claimed: create(execution, request, unlessLost: outcome.isKnown, answer)
        case .existing(let former, _):
          world.promises.requested(former, number: request.number, due: world.promises.due(of: former) ?? world.now)
          execution.id = former
          repeated(execution, request, answer)
        case .removed(let former, _, _, _): answer(.accepted(former))
        }
      }
    }
  }

  private func executeSoon(_ request: SimulatedRequest, as id: String, _ answer: @escaping (SimulatedCaller.Answer) -> Void) {
    here(afterOwn: 0.5) { self.execute(request, as: id, answer) }
  }

  /// Whether this node knows of a loss of the store whose restoration may be unfinished.
  private var mayBeRestoring: Bool { isOpening || dispatcher.mayBeRestoring }

  /// Creates an execution under its key, unless the store may have lost an earlier claim of the key, or the execution.
  ///
  /// `isKnown` is whether the store knew this session.
  private func create(
    _ execution: Execution, _ request: SimulatedRequest, unlessLost isKnown: Bool, _ answer: @escaping (SimulatedCaller.Answer) -> Void
  ) {
    guard isKnown, !mayBeRestoring else { return executeSoon(request, as: execution.id, answer) }
    dispatcher.claimed(request.key ?? "", for: execution.id)
    create(execution, request, answer)
  }

  private func create(_ execution: Execution, _ request: SimulatedRequest, _ answer: @escaping (SimulatedCaller.Answer) -> Void) {
    // An execution created again under its key counts its time from now.
    world.promises.requested(execution.id, number: request.number, due: world.now + request.timeout)
    dispatcher.submit(execution, waits: request.waits, isRepeatable: request.key != nil) { [self] resolution in
      switch resolution {
      case .failed: answer(.refused)
      case .finished(let stored): answer(.finished(stored))
      case .accepted where request.waits && stop == nil:
        waitElsewhere(for: execution.id, until: execution.deadline) { stored in
          answer(stored.map { .finished($0) } ?? .accepted(execution.id))
        }
      case .accepted: answer(.accepted(execution.id))
      }
    }
  }

  /// Handles the repeat of a request whose key is claimed.
  private func repeated(_ execution: Execution, _ request: SimulatedRequest, _ answer: @escaping (SimulatedCaller.Answer) -> Void) {
    let look = { [self] in
      let session = session
      attempt(.reading, { ($0.state.execution(execution.id), $0.state.sessions()[session] != nil) }) {
        [self] (outcome: (found: StoredExecution?, isKnown: Bool)?) in
        guard let outcome else { return answer(.refused) }
        guard let stored = outcome.found else { return create(execution, request, unlessLost: outcome.isKnown, answer) }
        guard request.waits, !stored.execution.status.isTerminal else {
          return answer(request.waits ? .finished(stored) : .accepted(execution.id))
        }
        waitElsewhere(for: execution.id, until: stored.execution.deadline) { found in
          answer(found.map { .finished($0) } ?? .accepted(execution.id))
        }
      }
    }
    guard request.waits else { return look() }
    let isAttached = dispatcher.attach(to: execution.id) { resolution in
      if case .finished(let stored) = resolution { answer(.finished(stored)) } else { look() }
    }
    if !isAttached { look() }
  }

  private func waitElsewhere(for id: String, until deadline: Timestamp, _ answer: @escaping (StoredExecution?) -> Void) {
    wait(for: id, within: max(.zero, deadline - wall) + .seconds(60), asking: nil, answer)
  }

  /// Waits for an execution that another node drives.
  private func wait(for id: String, within limit: Duration, asking request: NodeMessage?, _ answer: @escaping (StoredExecution?) -> Void) {
    lastWait += 1
    let number = lastWait
    let wait = SimulatedWait(id, at: self, ExecutionWait(for: id, at: session, request: request, until: instant + limit)) { stored in
      self.waits[id]?[number] = nil
      if self.waits[id]?.isEmpty == true { self.waits[id] = nil }
      answer(stored)
    }
    waits[id, default: [:]][number] = wait
    wait.look()
  }

  /// Handles a request to cancel an execution.
  func cancel(_ id: String) {
    world.note("\(session) is asked to cancel \(id)")
    here { [self] in
      if dispatcher.cancel(id) { return }
      wait(for: id, within: .seconds(10), asking: .cancel(execution: id)) { _ in }
    }
  }

  /// Answers the callers that wait for executions of other nodes without an outcome.
  func releaseWaits() {
    for wait in waits.values.flatMap(\.values).sorted(by: { $0.order < $1.order }) { wait.release() }
  }

  /// Whether any caller waits here.
  var hasCallers: Bool { dispatcher.hasCallers || !waits.isEmpty }

  /// Whether a caller waits here.
  func isWaited(for id: String) -> Bool { dispatcher.isWaited(for: id) || waits[id] != nil }

  // MARK: Agents

  func later(_ body: @escaping () -> Void) {
    frames += 1
    world.plan(after: world.travel(index + 200, frames), body)
  }

  /// Sends a message to an agent, after all earlier ones.
  private func say(to agent: SimulatedAgent, _ body: @escaping () -> Void) {
    frames += 1
    agent.hears(after: world.travel(index + 200, frames), body)
  }

  /// Ends the connections of all agents.
  func hangUpAll() { for id in links.keys.sorted() { if let link = links[id] { hangUp(link) } } }

  private func hangUp(_ link: Link) { say(to: link.agent) { link.agent.connectionEnded(link.connection) } }

  func register(_ agent: SimulatedAgent, connection: Int, activeTasks: [String]?) {
    here { [self] in
      guard takesAgents else { return say(to: agent) { agent.connectionEnded(connection) } }
      let record = AgentRecord(
        id: agent.id, capabilities: ["text"], maxConcurrentTasks: agent.limit, session: session, epoch: dispatcher.epoch(of: agent.id),
        connectedAt: wall, activeTasks: activeTasks)
      attempt(.admittedWrite, { $0.register(record) }) { [self] epoch in
        guard let epoch = epoch ?? nil else {
          // The registration may have taken effect all the same.
          dispatcher.checkAgent(agent.id)
          dispatcher.handle(.agent(.turnedAway(agent.id)))
          return say(to: agent) { agent.connectionEnded(connection) }
        }
        guard agent.isConnected(connection, to: self) else {
          return dispatcher.handle(.agent(.left(agent.id, epoch: epoch, graceful: false)))
        }
        // A later connection of the agent, here or at another node, is already known.
        if dispatcher.epoch(of: agent.id) >= epoch { return say(to: agent) { agent.connectionEnded(connection) } }
        if let former = links[agent.id] { hangUp(former) }
        links[agent.id] = Link(epoch: epoch, agent: agent, connection: connection)
        say(to: agent) { agent.registered(connection) }
        dispatcher.agentRegistered(agent.id, epoch: epoch, limit: agent.limit, activeTasks: activeTasks)
      }
    }
  }

  /// Stores a registration again.
  func registerAnew(_ id: String) {
    guard let link = links[id] else { return }
    let record = AgentRecord(
      id: id, capabilities: ["text"], maxConcurrentTasks: link.agent.limit, session: session, epoch: dispatcher.epoch(of: id),
      connectedAt: wall, activeTasks: nil)
    attempt(.admittedWrite, { $0.register(record) }) { [self] answer in
      let epoch = answer ?? nil
      guard links[id]?.connection == link.connection else {
        if let epoch { dispatcher.handle(.agent(.left(id, epoch: epoch, graceful: false))) }
        return
      }
      guard let epoch else { return here(after: .seconds(1)) { self.registerAnew(id) } }
      let former = links[id]?.epoch ?? 0
      links[id]?.epoch = epoch
      dispatcher.handle(.agent(.renewed(id, from: former, epoch: epoch)))
    }
  }

  /// Handles the end of a connection; `graceful` if the agent said goodbye.
  func lose(_ agent: SimulatedAgent, connection: Int, graceful: Bool) {
    here { [self] in
      guard let link = links[agent.id], link.connection == connection else { return }
      links[agent.id] = nil
      dispatcher.handle(.agent(.left(agent.id, epoch: link.epoch, graceful: graceful)))
    }
  }

  /// Ends the connection of an agent that has registered elsewhere.
  func replaced(_ id: String) {
    if let link = links.removeValue(forKey: id) { hangUp(link) }
  }

  /// Processes an outcome from an agent.
  func heard(_ outcome: SimulatedAgent.Outcome, of task: String, from agent: SimulatedAgent, connection: Int) {
    here { [self] in
      guard links[agent.id]?.connection == connection else { return }
      let heardAt = world.now
      let check: () -> Void = { [self] in
        guard links[agent.id]?.connection == connection, agent.unacknowledged[task] != nil, wellSince <= heardAt,
          world.store.refusesUntil <= heardAt, world.store.capacity == nil, !world.isRestoring
        else { return }
        let id = SimulatedAgent.execution(of: task)
        world.violate(.outcomeDropped, "\(session) heard what \(agent.id) gave for \(task), and it is not kept: \(world.describe(id))")
      }
      here(after: Self.keepDelay + .seconds(4 * world.mix.longestDelay), check)
      dispatcher.heard(outcome, of: task, in: SimulatedAgent.execution(of: task), by: agent.id)
    }
  }

  /// Refuses an outcome that is too large: its task fails, and the connection ends, as by `AgentSession`.
  func refused(_ task: String, from agent: SimulatedAgent, connection: Int) {
    here { [self] in
      guard let link = links[agent.id], link.connection == connection else { return }
      dispatcher.tooLarge(task, in: SimulatedAgent.execution(of: task), by: agent.id)
      links[agent.id] = nil
      dispatcher.handle(.agent(.left(agent.id, epoch: link.epoch, graceful: false)))
      hangUp(link)
    }
  }

  func stopped(_ task: String, by agent: SimulatedAgent, connection: Int) {
    here { [self] in
      guard links[agent.id]?.connection == connection else { return }
      dispatcher.handle(.agent(.stopped(task: task, by: agent.id)))
    }
  }

  func reported(_ tasks: [String], by agent: SimulatedAgent, connection: Int) {
    here { [self] in
      guard let link = links[agent.id], link.connection == connection else { return }
      dispatcher.handle(.agent(.reported(agent.id, epoch: link.epoch, tasks: tasks)))
    }
  }

  func send(_ message: ControlPlaneMessage, to agent: String) {
    guard let link = links[agent] else { return }
    switch message {
    case .resultAck(let ack): world.checkAcknowledgement(of: ack.taskId, by: agent)
    case .task(let task): world.checkStart(of: task.taskId, in: task.executionId)
    default: break
    }
    say(to: link.agent) { link.agent.receive(message, link.connection) }
  }

  func ping(_ number: UInt64, to agent: String) {
    guard let link = links[agent] else { return }
    say(to: link.agent) { link.agent.pinged(number, link.connection) }
  }

  func answered(_ ping: UInt64, by agent: SimulatedAgent, connection: Int) {
    here { [self] in
      guard let link = links[agent.id], link.connection == connection else { return }
      dispatcher.handle(.agent(.answered(ping: ping, by: agent.id, epoch: link.epoch)))
    }
  }

  // MARK: Other nodes

  /// Sends a message by the receiver's inbox: the write is repeated until it succeeds, and the receiver reads the message later.
  func tell(_ message: NodeMessage, _ other: NodeSession) {
    guard !gone.contains(other), let node = world.nodes.first(where: { $0.session == other }) else { return }
    messages += 1
    let number = messages
    if world.losesMessages { return }
    var copies = 1
    if world.faultsAreOn {
      if world.chance.strikes(.lostMessage, node: index, number: number, probability: world.mix.losesMessage) != nil { return }
      if world.chance.strikes(.doubledMessage, node: index, number: number, probability: world.mix.doublesMessage) != nil { copies = 2 }
    }
    for copy in 0..<copies {
      var delay: Int64 = 0
      if world.faultsAreOn,
        var draws = world.chance.strikes(
          .lateMessage, node: index, number: number << 1 | UInt64(copy), probability: copy == 0 ? world.mix.delaysMessage : 1)
      {
        delay = Int64(draws.between(0, world.mix.longestDelay) * 1e9)
      }
      here(after: delay) { self.put(message, into: node, of: other) }
    }
  }

  private func put(_ message: NodeMessage, into node: SimulatedNode, of other: NodeSession) {
    let need: Need = if case .deliver = message { .write } else { .admittedWrite }
    call(need) { [world] _ in
      let instant = world.now
      node.take(message, for: other, put: instant)
    }
  }

  /// Reads a message from the inbox of a session, if it is this node's session.
  private func take(_ message: NodeMessage, for receiver: NodeSession, put instant: Int64) {
    guard session == receiver else { return }
    later { [self] in
      guard session == receiver, !world.store.hasLost(instant) else { return }
      if isCut {
        let delay = max(cutUntil, world.store.awayUntil) - world.now
        return here(after: delay) { self.take(message, for: receiver, put: instant) }
      }
      here { self.receive(message) }
    }
  }

  private func receive(_ message: NodeMessage) {
    if case .ended(let id) = message { for wait in (waits[id] ?? [:]).values.sorted(by: { $0.order < $1.order }) { wait.wake() } }
    dispatcher.handle(.message(message))
  }

  func publish(_ news: AgentAnnouncement) {
    guard !isCut, !world.losesEvents else { return }
    messages += 1
    let (number, sender) = (messages, session)
    for node in world.nodes where node !== self && node.isUp {
      if world.faultsAreOn {
        let number = number << 8 | UInt64(node.index)
        if world.chance.strikes(.lostEvent, node: index, number: number, probability: world.mix.losesEvent) != nil { continue }
        if world.chance.strikes(.doubledEvent, node: index, number: number, probability: world.mix.doublesEvent) != nil {
          node.hear(news, from: sender, after: world.travel(index + 300, number))
        }
        if var draws = world.chance.strikes(.lateEvent, node: index, number: number, probability: world.mix.delaysEvent) {
          node.hear(news, from: sender, after: Int64(draws.between(0, world.mix.longestDelay) * 1e9))
          continue
        }
      }
      node.hear(news, from: sender, after: world.travel(index + 400, number << 8 | UInt64(node.index)))
    }
  }

  private func hear(_ news: AgentAnnouncement, from sender: NodeSession, after delay: Int64) {
    let isHeard = !isDeaf
    here(after: delay) { if isHeard, !self.isDeaf { self.dispatcher.handle(.agent(.announced(news, from: sender))) } }
  }

  private func tellLoadsAgain() {
    dispatcher.tellLoads()
    here(afterOwn: 5) { self.tellLoadsAgain() }
  }

  /// Reads the agents of all other nodes from the store, and requests their loads.
  private func readAgents() {
    guard isUp else { return }
    if isReadingAgents {
      readsAgentsAgain = true
      return
    }
    isReadingAgents = true
    dispatcher.checkRegistrations(self)
    for node in world.nodes where node !== self && node.isUp && !isCut && !node.isDeaf {
      later { node.here { node.dispatcher.tellAllLoads() } }
    }
    let others = judge.view(now: instant, asOf: nil).members.filter { $0.isAlive && $0.record.session != session }.map(\.record.session)
    var left = others.count
    let end = { [self] in
      isReadingAgents = false
      guard readsAgentsAgain else { return }
      readsAgentsAgain = false
      here(after: .seconds(0.5)) { self.readAgents() }
    }
    if others.isEmpty { return end() }
    for other in others {
      let before = dispatcher.agentEpochs(at: other)
      attempt(.reading, { $0.state.agents(at: other).sorted { $0.id < $1.id } }) { [self] records in
        if let records { dispatcher.handle(.agent(.listed(records, at: other, before: before))) } else { readsAgentsAgain = true }
        left -= 1
        if left == 0 { end() }
      }
    }
  }

  private func readAgentsAgain() {
    readAgents()
    here(afterOwn: Self.agentReadInterval) { self.readAgentsAgain() }
  }

  // MARK: The end

  /// Describes the waits and calls that remain after the end of all executions.
  var leftOvers: [String] {
    var texts: [String] = dispatcher.leftOvers
    for id in waits.keys.sorted() { texts.append("a caller at \(session) was never answered about \(id)") }
    if callsUnderWay > 20 { texts.append("\(session) has \(callsUnderWay) calls of the store under way") }
    return texts
  }
}

/// A caller's wait for an execution of another node, as decided by `ExecutionWait`.
final class SimulatedWait {
  private let id: String
  private unowned let node: SimulatedNode
  private var wait: ExecutionWait
  private let answer: (StoredExecution?) -> Void
  private var isOver = false
  private var turn = 0
  private var isReading = false
  private var isWoken = false
  let order: Int

  init(_ id: String, at node: SimulatedNode, _ wait: ExecutionWait, _ answer: @escaping (StoredExecution?) -> Void) {
    self.id = id
    self.node = node
    self.wait = wait
    self.answer = answer
    order = Int(truncatingIfNeeded: node.world.now)
  }

  /// Rereads the execution, which may have ended.
  func wake() { if isReading { isWoken = true } else { look() } }

  /// Ends the wait without an outcome, because the node stops.
  func release() { end(nil) }

  private func end(_ stored: StoredExecution?) {
    guard !isOver else { return }
    isOver = true
    answer(stored)
  }

  func look() {
    guard !isOver, !isReading else { return }
    isReading = true
    turn += 1
    node.attempt(.reading, { [id] in $0.state.execution(id) }) { [self] outcome in
      guard !isOver else { return }
      isReading = false
      let reading: ExecutionWait.Reading =
        switch outcome {
        case nil: .failed(StateStoreError(.unavailable, "the store is away"))
        case .some(nil): .missing
        case .some(let stored?): .found(stored)
        }
      switch wait.read(reading, at: node.instant) {
      case .end(let stored): end(stored)
      case .fail: end(nil)
      case .attach:
        let isAttached = node.dispatcher.attach(to: id) { [self] resolution in
          if case .finished(let stored) = resolution { end(stored) } else { pause() }
        }
        if !isAttached { pause() }
      case .ask(let messages, let owner):
        for message in messages { node.tell(message, owner) }
        pause()
      case .pause: pause()
      }
    }
  }

  private func pause() {
    if isWoken {
      isWoken = false
      return look()
    }
    guard let next = wait.nextRead(after: node.instant) else { return end(nil) }
    let current = turn
    node.here(after: (next - node.instant).nanoseconds) { if self.turn == current { self.look() } }
  }
}
