import ParallaxAPI

/// An agent of the simulation: it keeps what it gave until that is acknowledged, and comes back wherever it can.
final class SimulatedAgent {
  let id: String
  let limit: Int
  unowned let world: DispatchSimulation
  /// Counts connections; what belongs to a former one is dropped.
  private(set) var connection = 0
  private var node: SimulatedNode?
  private var isRegistered = false
  /// What it works on.
  private var inHand: Set<String> = []
  /// What it goes on with though it is not wanted any more.
  private var abandoned: Set<String> = []
  private(set) var unacknowledged: [String: JSONValue] = [:]
  private var isHealed = false
  private var life = 0
  private var results = 0
  private let isStubborn: Bool

  init(_ index: Int, in world: DispatchSimulation) {
    id = "agent-\(index)"
    limit = 1 + index % 2
    self.world = world
    isStubborn = world.chance(world.mix.stubborn)
  }

  func connect() {
    guard node == nil else { return }
    guard let node = world.reachableNode() else {
      return world.plan(after: .milliseconds(500)) { if self.node == nil { self.connect() } }
    }
    connection += 1
    self.node = node
    isRegistered = false
    let (connection, session) = (connection, node.session)
    let active = (inHand.union(abandoned)).sorted() + unacknowledged.keys.sorted()
    world.note("\(id) connects to \(session) with \(active)")
    world.plan(after: world.travel()) { node.register(self, connection: connection, activeTasks: active) }
    // A node that does not answer is left, and so is one that is silent later.
    watchForSilence(connection)
  }

  private func watchForSilence(_ connection: Int) {
    world.plan(after: .seconds(10)) {
      guard self.connection == connection, let node = self.node else { return }
      if !node.isUp || node.isPaused && self.world.chance(1 - self.world.mix.loyalty) || !self.isRegistered {
        self.connectionEnded(connection)
      } else {
        self.watchForSilence(connection)
      }
    }
  }

  func registered(_ connection: Int) {
    guard self.connection == connection, node != nil else { return }
    isRegistered = true
    for task in unacknowledged.keys.sorted() { say(task) }
  }

  /// The other side, or the network, has ended the connection.
  func connectionEnded(_ connection: Int) {
    guard self.connection == connection, let node else { return }
    drop(node, graceful: false)
    world.plan(after: world.between(.milliseconds(50), isHealed ? .milliseconds(500) : .seconds(8))) {
      if self.node == nil { self.connect() }
    }
  }

  private func drop(_ node: SimulatedNode, graceful: Bool) {
    let connection = connection
    self.node = nil
    self.connection += 1
    isRegistered = false
    world.plan(after: world.travel()) { node.lose(self, connection: connection, graceful: graceful) }
  }

  func breakConnection() {
    guard let node else { return }
    let graceful = world.chance(world.mix.goodByes)
    world.note("\(id) leaves \(node.session), graceful \(graceful)")
    drop(node, graceful: graceful)
    let away = world.chance(0.2) ? world.between(.seconds(20), .seconds(50)) : world.between(.milliseconds(10), .seconds(5))
    world.plan(after: away) { if self.node == nil { self.connect() } }
  }

  /// The process ends, and with it all it had.
  func die() {
    world.note("\(id) dies with \(inHand.sorted())")
    life += 1
    (inHand, abandoned, unacknowledged) = ([], [], [:])
    if let node { drop(node, graceful: false) }
    world.plan(after: world.between(.milliseconds(100), .seconds(40))) { if self.node == nil { self.connect() } }
  }

  func heal() {
    isHealed = true
    if node == nil { connect() }
    // What it was never going to answer it answers now.
    for task in inHand.sorted() { finish(task, after: world.between(.zero, .seconds(5))) }
  }

  // MARK: Work

  func receive(_ message: ControlPlaneMessage, _ connection: Int) {
    guard self.connection == connection, node != nil else { return }
    switch message {
    case .task(let task): begin(task.taskId)
    case .taskCancelled(let task):
      guard inHand.remove(task.taskId) != nil else { return }
      if isStubborn {
        abandoned.insert(task.taskId)
        finish(task.taskId, after: world.between(.zero, world.mix.longestWork))
      } else if let node, world.chance(0.5) {
        let connection = self.connection
        world.plan(after: world.travel()) { node.stopped(task.taskId, by: self, connection: connection) }
      }
    case .resultAck(let ack): unacknowledged[ack.taskId] = nil
    case .error(let error): world.fault("\(id) was told \(error.code): \(error.message)")
    default: break
    }
  }

  private func begin(_ task: String) {
    if unacknowledged[task] != nil { return say(task) }
    guard inHand.insert(task).inserted else { return }
    world.note("\(id) begins \(task)")
    let busy = inHand.count + abandoned.count
    if busy > limit { world.fault("\(id) has \(busy) tasks and \(limit) places: \(inHand.sorted()) and \(abandoned.sorted())") }
    if !isHealed, world.chance(world.mix.hangs) { return }
    finish(task, after: world.between(.milliseconds(50), world.mix.longestWork))
  }

  private func finish(_ task: String, after time: Duration) {
    let life = life
    world.plan(after: time) {
      guard self.life == life, self.inHand.remove(task) != nil || self.abandoned.remove(task) != nil else { return }
      self.results += 1
      self.unacknowledged[task] = .string("\(self.id) \(self.results)")
      self.world.note("\(self.id) has done \(task)")
      self.say(task)
    }
  }

  private func say(_ task: String) {
    guard let node, isRegistered, let result = unacknowledged[task] else { return }
    let connection = connection
    world.plan(after: world.travel()) { node.completed(task, by: self, connection: connection, result: result) }
  }
}
