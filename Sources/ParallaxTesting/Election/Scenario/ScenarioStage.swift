import ParallaxHA

/// The cluster that a script controls.
struct ScenarioStage {
  private typealias Mistake = ElectionScenario.Mistake

  private let defect: (String) -> (any ElectionDefect)?
  private var simulation = ElectionSimulation(scriptedWith: nil)
  private var timings = ElectionTimings.standard
  private var isVerbose = false
  private var shown = 0

  init(defect: @escaping (String) -> (any ElectionDefect)?) {
    self.defect = defect
  }

  /// The trace since the last call.
  mutating func takeLines() -> [String] {
    defer { shown = simulation.report.trace.count }
    let lines = simulation.report.trace[shown...].filter { isVerbose || !$0.isDetail }.map(\.description)
    return lines.isEmpty ? ["nothing"] : lines
  }

  mutating func perform(_ command: ScenarioCommand) throws(ElectionScenario.Mistake) {
    switch command.word {
    case "defect": try setDefect(command.argument(0))
    case "timings": try setTimings(command)
    case "verbose", "terse": isVerbose = command.word == "verbose"
    case "node": try addNode(command)
    case "run": try run(command)
    case "wipe": simulation.loseData()
    case "failover": try failOver(command.argument(0))
    case "asynchronous": simulation.store.isLinearizable = false
    case "garbage":
      simulation.store.isUnreadable = true
      simulation.trace("the store holds nonsense")
    case "record": try putOrShowRecord(command)
    case "ask": try ask(command)
    case "leaders": showLeaders()
    default: try perform(command, on: node(command.argument(0)))
    }
    simulation.noteViolations()
  }

  private func node(_ name: String) throws(ElectionScenario.Mistake) -> Int {
    guard let index = simulation.nodes.firstIndex(where: { $0.name == name }) else {
      throw Mistake(description: "there is no such command, or no node \"\(name)\"")
    }
    return index
  }

  private mutating func perform(_ command: ScenarioCommand, on index: Int) throws(ElectionScenario.Mistake) {
    switch command.word {
    case "start": simulation.start(index)
    case "kill": simulation.stopProcess(index)
    case "pause": simulation.pauseProcess(index)
    case "continue": simulation.resumeProcess(index)
    case "resign": simulation.handle(.resign, on: index)
    case "fit", "unfit": simulation.handle(.eligibility(command.word == "fit"), on: index)
    case "stick": simulation.nodes[index].areDutiesStuck = true
    case "unstick": unstick(index)
    case "lose": try setFlow(.lost, command, index)
    case "hold": try setFlow(.held, command, index)
    case "fail": try setFlow(.failing, command, index)
    case "open": try setFlow(.open, command, index)
    case "deliver": deliver(index)
    case "write": write(index)
    case "status": showStatus(of: index)
    default: throw Mistake(description: "there is no such command")
    }
  }

  // MARK: Setup

  private mutating func setDefect(_ name: String) throws(ElectionScenario.Mistake) {
    guard let defect = defect(name) else { throw Mistake(description: "there is no defect \"\(name)\"") }
    guard simulation.nodes.isEmpty else { throw Mistake(description: "a defect comes before the nodes") }
    simulation = ElectionSimulation(scriptedWith: defect)
    shown = 0
  }

  private mutating func setTimings(_ command: ScenarioCommand) throws(ElectionScenario.Mistake) {
    let lease = try command.duration("lease") ?? .seconds(15)
    let deadline = try command.duration("deadline") ?? lease * 10 / 15
    let retry = try command.duration("retry") ?? lease * 2 / 15
    let (stop, call) = (try command.duration("stop"), try command.duration("call"))
    let error = try command.number("error") ?? 0.05
    if command.has("unchecked") {
      timings = ElectionTimings(
        unchecked: lease, deadline, retry, stopBudget: stop, callTimeout: call, clockRateError: error)
      return
    }
    do throws(ElectionError) {
      timings = try ElectionTimings(
        leaseDuration: lease, renewDeadline: deadline, retryPeriod: retry, stopBudget: stop, callTimeout: call, clockRateError: error)
    } catch {
      simulation.trace("refused, \(error.code): \(error.message)")
    }
  }

  private mutating func addNode(_ command: ScenarioCommand) throws(ElectionScenario.Mistake) {
    let name = try command.argument(0)
    guard !simulation.nodes.contains(where: { $0.name == name }) else { throw Mistake(description: "there is a node \"\(name)\"") }
    var ofNode = timings
    if let lease = try command.duration("lease") { ofNode = timings.scaled(by: lease / timings.leaseDuration) }
    let configuration = ElectionConfiguration(
      clusterID: command.text("cluster") ?? "default", timings: ofNode, priority: Int(try command.number("priority") ?? 0),
      campaigns: !command.has("watch"), reclaimsOnRestart: command.has("reclaim"), bootstrapWait: try command.duration("bootstrap"))
    var node = ElectionSimulation.Node(name, id: command.text("id") ?? name, configuration)
    node.rate = try command.number("rate") ?? 1
    node.wallOffset = (try command.duration("wall") ?? .zero) / .seconds(1)
    node.needsBootstrapWait = !command.has("alone")
    simulation.nodes.append(node)
    simulation.start(simulation.nodes.count - 1)
  }

  // MARK: Events

  private mutating func run(_ command: ScenarioCommand) throws(ElectionScenario.Mistake) {
    let isAbsolute = try command.argument(0) == "to"
    let duration = try ScenarioCommand.duration(command.argument(isAbsolute ? 1 : 0)).nanoseconds
    let instant = isAbsolute ? duration : simulation.now + duration
    guard instant >= simulation.now else { throw Mistake(description: "that is past") }
    simulation.advance(to: instant)
    if simulation.report.violations.isEmpty { simulation.now = instant }
  }

  private mutating func failOver(_ count: String) throws(ElectionScenario.Mistake) {
    guard let count = Int(count) else { throw Mistake(description: "\"\(count)\" is no number of writes") }
    simulation.failOver(by: count)
  }

  private mutating func putOrShowRecord(_ command: ScenarioCommand) throws(ElectionScenario.Mistake) {
    guard let term = try command.number("term") else {
      let record = simulation.store.snapshot?.record
      return simulation.trace("the record is \(record.map(ElectionSimulation.summary) ?? "absent")")
    }
    let leader = command.text("leader")
    var record = ElectionRecord(
      clusterID: command.text("cluster") ?? "default", leader: leader,
      incarnation: command.text("incarnation") ?? "\(leader ?? "somebody").0", term: Int64(term),
      renewalCount: Int64(try command.number("renewal") ?? 1), sequence: Int64(try command.number("seq") ?? 1), transitionCount: 1,
      leaseDuration: try command.duration("lease") ?? timings.leaseDuration, isBootstrap: command.has("bootstrap"))
    record.isPaused = command.has("paused")
    simulation.store.put(record)
    simulation.trace("the store holds \(ElectionSimulation.summary(of: record))")
  }

  private mutating func ask(_ command: ScenarioCommand) throws(ElectionScenario.Mistake) {
    let request: ElectionCommand
    switch try command.argument(0) {
    case "stepdown": request = .stepDown(to: command.arguments.dropFirst().first)
    case "elect": request = .elect
    case "force": request = .force
    case "pause": request = .pause
    case "resume": request = .resume
    case let other: throw Mistake(description: "nobody can ask for \"\(other)\"")
    }
    do throws(ElectionError) {
      if try !simulation.carryOut(request, over: simulation.store.snapshot) { simulation.trace("that stands already") }
    } catch {
      simulation.trace("refused, \(error.code): \(error.message)")
    }
  }

  private mutating func unstick(_ index: Int) {
    simulation.nodes[index].areDutiesStuck = false
    if let token = simulation.nodes[index].duties, simulation.nodes[index].areDutiesEnding {
      simulation.plan(.joined(index, epoch: simulation.nodes[index].epoch, token), after: 0)
    }
  }

  private mutating func setFlow(
    _ flow: ElectionSimulation.Flow, _ command: ScenarioCommand, _ index: Int
  ) throws(ElectionScenario.Mistake) {
    let what = try command.argument(1)
    guard ["requests", "writes", "replies", "hints", "all"].contains(what) else { throw Mistake(description: "there are no \(what)") }
    if what == "requests" || what == "all" { simulation.nodes[index].requests = flow }
    if what != "replies", what != "hints" { simulation.nodes[index].writes = flow }
    if what == "replies" || what == "all" { simulation.nodes[index].replies = flow }
    if what == "hints" || what == "all" { simulation.nodes[index].hints = flow }
  }

  private mutating func deliver(_ index: Int) {
    for event in simulation.nodes[index].held { simulation.plan(event, after: 0) }
    simulation.nodes[index].held = []
  }

  // MARK: Output

  private mutating func write(_ index: Int) {
    let name = simulation.nodes[index].name
    guard let token = simulation.nodes[index].lastToken else { return simulation.trace("\(name) has never led") }
    let isAccepted = simulation.write(with: token)
    simulation.trace("the resource \(isAccepted ? "accepts" : "refuses") a write of \(name) in term \(token.term)")
  }

  private mutating func showLeaders() {
    let leaders = simulation.nodes.indices.filter { simulation.leads($0) }.map { simulation.nodes[$0] }
    let names = leaders.map { "\($0.name) leads term \($0.machine.lease?.token.term ?? 0)" }
    simulation.trace(names.isEmpty ? "nobody leads" : names.joined(separator: ", "))
  }

  private mutating func showStatus(of index: Int) {
    let node = simulation.nodes[index]
    let status = node.machine.status(at: .nanoseconds(Int64(simulation.reading(on: index))))
    var text = "\(node.name) sees \(status.leader ?? "nobody") lead in term \(status.term)"
    if status.isPaused { text += ", paused" }
    if status.staleFor != nil { text += ", from hearsay" }
    if let problem = status.problem { text += "; \(problem)" }
    simulation.trace(text)
  }
}
