/// The mixes of faults for simulated clusters.
package enum ExecutionMixes {
  /// One busy agent, and nodes whose pauses may outlast the membership time-out.
  static let paused = ExecutionMix("one busy agent and nodes that are paused") {
    $0.nodes = 2
    $0.agents = 1
    $0.submissions = 0.7
    $0.longestWork = 4
    $0.pauses = 20
    $0.loyalty = 1
    $0.errors = 0
  }
  /// Nodes that are paused while others end their executions.
  static let overtaken = ExecutionMix("nodes that are paused while others go on") {
    $0.nodes = 2
    $0.agents = 2
    $0.submissions = 1.5
    $0.timeouts = 120...200
    $0.longestWork = 12
    $0.pauses = 30
    $0.loyalty = 0
  }
  /// Agents that say goodbye right after their results, and lost messages about those results.
  static let hasty = ExecutionMix("agents in a hurry and lost messages") {
    $0.agents = 3
    $0.agentBreaks = 2
    $0.losesMessage = 0.3
    $0.losesEvent = 0.3
    $0.goodByes = 0.9
  }
  /// A node dies every second.
  package static let dying = ExecutionMix("nodes that die all the time") {
    $0.nodes = 5
    $0.agents = 6
    $0.crashes = 1
    $0.longestDown = 6
    $0.agentBreaks = 20
    $0.submissions = 0.6
    $0.isDense = true
  }
  /// Nodes that occasionally die or stop.
  static let rolling = ExecutionMix("nodes that die and nodes that stop") {
    $0.crashes = 25
    $0.stops = 20
    $0.agentBreaks = 20
    $0.cancellations = 20
  }
  static let network = ExecutionMix("lost, late and doubled calls and messages") {
    $0.losesRequest = 0.03
    $0.losesReply = 0.03
    $0.delaysRequest = 0.02
    $0.delaysReply = 0.03
    $0.losesMessage = 0.05
    $0.delaysMessage = 0.05
    $0.doublesMessage = 0.05
    $0.losesEvent = 0.1
    $0.delaysEvent = 0.1
    $0.doublesEvent = 0.1
    $0.agentBreaks = 10
    $0.goodByes = 0.3
    $0.cancellations = 10
    $0.crashes = 50
    $0.answersTwice = 0.05
  }
  static let partitions = ExecutionMix("nodes that are cut off from the store, and from events") {
    $0.cuts = 20
    $0.deafness = 20
    $0.agentBreaks = 15
    $0.silentBreaks = 0.3
    $0.submissions = 1
    $0.crashes = 80
  }
  static let losses = ExecutionMix("a store that loses what it was told last") {
    $0.failovers = 45
    $0.losesReply = 0.02
    $0.cuts = 60
    $0.agentBreaks = 20
  }
  static let flushes = ExecutionMix("a store that is flushed") {
    $0.flushes = 60
    $0.losesReply = 0.02
    $0.losesRequest = 0.02
    $0.agentBreaks = 20
  }
  /// Deadlines, results and losses at the same time.
  static let overruled = ExecutionMix("short time-outs and a store that loses what it was told last") {
    $0.failovers = 30
    $0.longestLag = 4
    $0.timeouts = 4...12
    $0.longestWork = 12
    $0.losesReply = 0.02
    $0.agentBreaks = 5
    $0.agents = 6
    $0.errors = 0.2
  }
  static let refusals = ExecutionMix("a store that takes no writes") {
    $0.refusals = 30
    $0.agentBreaks = 15
    $0.crashes = 60
  }
  static let clocks = ExecutionMix("clocks that differ and jump") {
    $0.clockRateError = 0.01
    $0.wallClockError = 600
    $0.clockJumps = 30
    $0.crashes = 30
    $0.agentBreaks = 20
  }
  static let oddAgents = ExecutionMix("agents that hang, answer late, twice or elsewhere, and do not stop") {
    $0.agents = 5
    $0.agentBreaks = 6
    $0.silentBreaks = 0.3
    $0.goodByes = 0.2
    $0.agentDeaths = 15
    $0.stubborn = 0.4
    $0.silentAboutTasks = 0.3
    $0.forgetful = 0.2
    $0.hangs = 0.03
    $0.answersLate = 0.05
    $0.answersTwice = 0.1
    $0.errors = 0.2
    $0.cancellations = 8
    $0.crashes = 60
  }
  static let poison = ExecutionMix("inputs that take down their agents") {
    $0.agents = 5
    $0.poison = 0.05
    $0.submissions = 2
    $0.crashes = 100
  }
  static let patient = ExecutionMix("long time-outs") {
    $0.faultTime = 240
    $0.timeouts = 200...300
    $0.submissions = 1.6
    $0.crashes = 40
    $0.agentBreaks = 10
    $0.losesMessage = 0.1
    $0.losesEvent = 0.1
    $0.pairs = 0
  }
  static let everything = ExecutionMix("everything at once") {
    $0.crashes = 40
    $0.stops = 80
    $0.pauses = 40
    $0.cuts = 60
    $0.deafness = 40
    $0.agentBreaks = 15
    $0.silentBreaks = 0.2
    $0.goodByes = 0.2
    $0.agentDeaths = 20
    $0.cancellations = 10
    $0.losesRequest = 0.01
    $0.losesReply = 0.01
    $0.delaysRequest = 0.005
    $0.delaysReply = 0.01
    $0.losesMessage = 0.02
    $0.delaysMessage = 0.05
    $0.doublesMessage = 0.02
    $0.losesEvent = 0.1
    $0.delaysEvent = 0.05
    $0.doublesEvent = 0.02
    $0.hangs = 0.01
    $0.answersLate = 0.01
    $0.answersTwice = 0.02
    $0.stubborn = 0.3
    $0.clockRateError = 0.005
    $0.poison = 0.003
  }

  package static let all = [
    dying, everything, network, partitions, overtaken, paused, hasty, rolling, losses, flushes, refusals, clocks, oddAgents, poison,
    patient, overruled,
  ]

  /// The mix with a name; nil if there is none.
  package static func named(_ name: some StringProtocol) -> ExecutionMix? { all.first { $0.name == name } }
}
