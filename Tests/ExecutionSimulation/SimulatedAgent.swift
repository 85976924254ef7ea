import ParallaxAPI
import ParallaxState
import ParallaxTesting

/// A simulated agent, which keeps each outcome until its acknowledgement, and reconnects to any reachable node.
final class SimulatedAgent {
  /// The outcome of a task.
  enum Outcome: Equatable {
    case result(JSONValue)
    case error(retryable: Bool)
  }

  /// The kind of end of a connection.
  enum Break {
    case plain, goodBye
    /// The node does not notice.
    case silent
  }

  static let errorCode = "SIMULATED"
  private static let heartbeatInterval = 10.0
  private static let silenceLimit = 10.0

  let index: Int
  let id: String
  let limit: Int
  unowned let world: ExecutionSimulation
  /// The number of the present connection; work of former ones is dropped.
  private(set) var connection = 0
  private var node: SimulatedNode?
  private var nodeLife = 0
  private var isRegistered = false
  /// The tasks in progress.
  private var inHand: Set<String> = []
  /// The cancelled tasks that the agent continues, with the times of their cancellation.
  private var abandoned: [String: Int64] = [:]
  private(set) var unacknowledged: [String: Outcome] = [:]
  /// The time since which the agent is registered and idle; nil otherwise.
  private var freeSince: Int64?
  private var life = 0
  private var begun: UInt64 = 0
  private var answers = 0
  private var turns: UInt64 = 0
  private var answeredTwice: Set<String> = []
  /// The tasks answered in any life of the process.
  private var given: Set<String> = []
  private var spokenAt: Int64 = 0
  private var heardAt: Int64 = 0
  private let isStubborn: Bool
  private let isSilentAboutTasks: Bool
  private let isForgetful: Bool
  /// The node to which the agent connects, in a scenario; nil for any.
  var home: SimulatedNode?

  init(_ index: Int, in world: ExecutionSimulation) {
    self.index = index
    id = "agent-\(index)"
    limit = 1 + index % 2
    self.world = world
    isStubborn = world.chance.strikes(.stubborn, node: index, probability: world.mix.stubborn) != nil
    isSilentAboutTasks = world.chance.strikes(.silentAboutTasks, node: index, probability: world.mix.silentAboutTasks) != nil
    isForgetful = world.chance.strikes(.forgetful, node: index, probability: world.mix.forgetful) != nil
  }

  static func execution(of task: String) -> String {
    "exec_\(task.dropFirst(5).prefix { $0 != "_" })"
  }

  private func draws() -> SimulationRandom {
    turns += 1
    return world.chance.draws(.agent, node: index, number: turns)
  }

  /// Sends a message over the connection, which preserves the order.
  private func later(_ body: @escaping () -> Void) {
    turns += 1
    spokenAt = max(spokenAt, world.now + world.travel(index + 500, turns))
    world.plan(at: spokenAt, body)
  }

  /// Delivers a message of the node, in the order of the calls.
  func hears(after way: Int64, _ body: @escaping () -> Void) {
    heardAt = max(heardAt, world.now + way)
    world.plan(at: heardAt, body)
  }

  /// The time since which the agent is idle at a node without disturbances; nil otherwise.
  var idleSince: Int64? {
    guard isRegistered, let node, node.life == nodeLife, let freeSince else { return nil }
    return max(freeSince, node.wellSince)
  }

  private func noteLoad() {
    let isFree = isRegistered && inHand.isEmpty && abandoned.isEmpty && unacknowledged.isEmpty
    if !isFree { freeSince = nil } else if freeSince == nil { freeSince = world.now }
  }

  // MARK: Connections

  func isConnected(_ connection: Int, to node: SimulatedNode) -> Bool { self.connection == connection && self.node === node }

  func connect() {
    guard node == nil else { return }
    var draws = draws()
    guard let node = home.map({ $0.takesAgents ? $0 : nil }) ?? world.reachableNode(&draws, by: \.takesAgents) else {
      return world.plan(after: .seconds(0.5)) { self.connect() }
    }
    connection += 1
    (self.node, nodeLife, isRegistered) = (node, node.life, false)
    let connection = connection
    let active = isForgetful ? nil : inHand.union(abandoned.keys).union(unacknowledged.keys).sorted()
    world.note("\(id) connects to \(node.session) with \(active.map { "\($0)" } ?? "who knows")")
    later { node.register(self, connection: connection, activeTasks: active) }
    // The agent leaves a node that does not answer, or that falls silent later.
    watchForSilence(connection)
  }

  private func connectLater(_ time: Int64) { world.plan(after: time) { if self.node == nil { self.connect() } } }

  private func watchForSilence(_ connection: Int) {
    world.plan(after: .seconds(Self.silenceLimit)) {
      guard self.connection == connection, let node = self.node else { return }
      var draws = self.draws()
      let isGone = !node.isUp || node.life != self.nodeLife
      if isGone || !self.isRegistered || node.isPaused && !draws.happens(self.world.mix.loyalty) { return self.connectionEnded(connection) }
      if !self.isSilentAboutTasks {
        let tasks = self.inHand.union(self.abandoned.keys).sorted()
        self.later { node.reported(tasks, by: self, connection: connection) }
      }
      self.watchForSilence(connection)
    }
  }

  func registered(_ connection: Int) {
    guard self.connection == connection, node != nil else { return }
    isRegistered = true
    noteLoad()
    for task in unacknowledged.keys.sorted() { say(task) }
  }

  /// Handles the end of the connection by the node or the network.
  func connectionEnded(_ connection: Int) {
    guard self.connection == connection, node != nil else { return }
    drop(.plain)
    var draws = draws()
    connectLater(Int64(draws.between(0.05, world.faultsAreOn ? 8 : 0.5) * 1e9))
  }

  /// Handles the request of a node that is cut off from the others to reconnect elsewhere, if another node takes work.
  func askedToReconnect(_ connection: Int) {
    guard self.connection == connection, let node else { return }
    if world.nodes.contains(where: { $0 !== node && $0.takesAgents }) { connectionEnded(connection) }
  }

  private func drop(_ kind: Break) {
    guard let node else { return }
    let connection = connection
    self.node = nil
    self.connection += 1
    isRegistered = false
    noteLoad()
    let lose = { node.lose(self, connection: connection, graceful: kind == .goodBye) }
    if kind == .silent { world.plan(after: .seconds(SimulatedNode.heartbeatTimeout), lose) } else { later(lose) }
  }

  func breakConnection(_ kind: Break, awayFor time: Int64) {
    guard let node else { return }
    world.note("\(id) leaves \(node.session), \(kind)")
    drop(kind)
    connectLater(time)
  }

  /// Ends the process, which loses all its tasks and outcomes.
  func die(for time: Int64) {
    world.note("\(id) dies with \(inHand.sorted())")
    life += 1
    (inHand, abandoned, unacknowledged) = ([], [:], [:])
    drop(.plain)
    connectLater(time)
  }

  func heal() {
    if node == nil { connect() }
    // Tasks that hung end now.
    for task in inHand.sorted() { finish(task, after: .seconds(2)) }
  }

  // MARK: Work

  func receive(_ message: ControlPlaneMessage, _ connection: Int) {
    guard self.connection == connection, let node else { return }
    switch message {
    case .task(let task): begin(task.taskId)
    case .taskCancelled(let task):
      guard inHand.contains(task.taskId) else { return }
      world.note("\(id) is to stop \(task.taskId)")
      if isStubborn {
        inHand.remove(task.taskId)
        abandoned[task.taskId] = world.now
        finish(task.taskId, after: .seconds(world.mix.longestWork))
      } else {
        inHand.remove(task.taskId)
        noteLoad()
        var draws = draws()
        if draws.happens(0.5) { later { node.stopped(task.taskId, by: self, connection: connection) } }
      }
    case .resultAck(let ack):
      unacknowledged[ack.taskId] = nil
      noteLoad()
    case .error(let error): world.violate(.agentAccused, "\(id) was told \(error.code): \(error.message)")
    default: break
    }
  }

  /// Answers a ping, behind the messages that the agent has sent by then.
  func pinged(_ number: UInt64, _ connection: Int) {
    guard self.connection == connection, let node else { return }
    later { node.answered(number, by: self, connection: connection) }
  }

  private func begin(_ task: String) {
    if unacknowledged[task] != nil { return say(task) }
    guard abandoned[task] == nil, inHand.insert(task).inserted else { return }
    noteLoad()
    world.note("\(id) begins \(task)")
    checkPlaces()
    begun += 1
    var draws = world.chance.draws(.work, node: index, number: begun)
    let execution = Self.execution(of: task)
    if world.promises.isPoison(execution) { return takeDown(task, of: execution, after: Int64(draws.between(0.05, 0.5) * 1e9)) }
    if world.faultsAreOn, world.chance.strikes(.hang, node: index, number: begun, probability: world.mix.hangs) != nil { return }
    var time = world.promises.work(on: execution) ?? draws.between(0.05, world.mix.longestWork)
    if world.faultsAreOn, var late = world.chance.strikes(.lateAnswer, node: index, number: begun, probability: world.mix.answersLate) {
      time += late.between(10, 60)
    }
    finish(task, after: .seconds(time))
  }

  /// Checks that the agent has no more tasks than places, unless it does not report its tasks.
  private func checkPlaces() {
    guard !isForgetful, !isSilentAboutTasks || abandoned.allSatisfy({ world.now - $0.value < .seconds(25) }) else { return }
    // A repeated task that the agent has answered, or answers twice, ends for its node with the other answer.
    let busy = inHand.subtracting(answeredTwice).subtracting(given).count + abandoned.count
    guard busy > limit else { return }
    world.violate(.noPlace, "\(id) has \(busy) tasks and \(limit) places: \(inHand.sorted()) and \(abandoned.keys.sorted())")
  }

  private func takeDown(_ task: String, of execution: String, after time: Int64) {
    let life = life
    world.plan(after: time) {
      guard self.life == life, self.inHand.contains(task) else { return }
      let losses = self.world.promises.lost(to: execution)
      let slots = self.world.promises.seen[execution]?.stored.execution.pattern.agents.min ?? 1
      if losses > Promises.greatestLosses(slots: slots) {
        self.world.violate(.tooManyLosses, "\(execution) took down \(losses) processes: \(self.world.describe(execution))")
      }
      self.die(for: .seconds(0.2))
    }
  }

  private func finish(_ task: String, after time: Int64) {
    let (life, number) = (life, begun)
    world.plan(after: time) {
      guard self.life == life, self.inHand.remove(task) != nil || self.abandoned.removeValue(forKey: task) != nil else { return }
      self.answers += 1
      self.given.insert(task)
      if self.world.faultsAreOn,
        self.world.chance.strikes(.error, node: self.index, number: number, probability: self.world.mix.errors) != nil
      {
        self.unacknowledged[task] = .error(retryable: number % 3 != 0)
      } else {
        self.unacknowledged[task] = .result(.string("\(self.id) \(self.answers)"))
      }
      self.world.note("\(self.id) has done \(task)")
      self.noteLoad()
      self.say(task)
      guard self.world.faultsAreOn,
        var draws = self.world.chance.strikes(.doubledAnswer, node: self.index, number: number, probability: self.world.mix.answersTwice)
      else { return }
      self.answeredTwice.insert(task)
      self.world.plan(after: Int64(draws.between(0, 3) * 1e9)) { self.say(task, .result(.string("\(self.id) again"))) }
    }
  }

  private func say(_ task: String, _ other: Outcome? = nil) {
    guard let node, isRegistered, let outcome = other ?? unacknowledged[task] else { return }
    let connection = connection
    let isTooLarge = world.promises.isTooLarge(Self.execution(of: task))
    later {
      isTooLarge
        ? node.refused(task, from: self, connection: connection) : node.heard(outcome, of: task, from: self, connection: connection)
    }
  }

  // MARK: The end

  var leftOvers: [String] {
    var texts: [String] = []
    if !unacknowledged.isEmpty { texts.append("\(id) was not told that \(unacknowledged.keys.sorted()) are kept") }
    guard inHand.isEmpty, abandoned.isEmpty else { return texts }
    for other in world.nodes {
      if let text = other.dispatcher.misjudges(id) { texts.append(text) }
    }
    return texts
  }
}
