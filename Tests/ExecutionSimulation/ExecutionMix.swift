/// The fault rates and the load of a simulated cluster.
///
/// Intervals are means in seconds for the whole cluster, 0 for never; lengths are maxima, in seconds; probabilities are per message, task,
/// agent or node.
package struct ExecutionMix: Sendable, CustomStringConvertible {
  package var name: String
  package var nodes = 3
  package var agents = 4
  /// The time during which faults strike.
  package var faultTime = 120.0

  // The load.
  package var submissions = 0.8
  package var timeouts = 20.0...60.0
  package var longestWork = 8.0
  /// The probability that an execution takes two agents.
  package var pairs = 0.2
  /// The probability that a request has an idempotency key; its caller repeats it until an answer comes.
  package var keys = 0.4
  package var cancellations = 0.0

  // Nodes.
  package var crashes = 0.0
  package var longestDown = 40.0
  /// The interval between graceful stops (SIGTERM).
  package var stops = 0.0
  package var pauses = 0.0
  package var longestPause = 70.0
  /// The interval between cuts of a node from its store.
  package var cuts = 0.0
  package var longestCut = 60.0
  /// The interval between losses of a node's event subscription.
  package var deafness = 0.0
  package var longestDeafness = 60.0
  /// The largest error of a clock's rate.
  package var clockRateError = 0.0
  /// The largest error of a wall clock, in seconds.
  package var wallClockError = 0.0
  package var clockJumps = 0.0

  // Calls and messages.
  package var losesRequest = 0.0
  package var losesReply = 0.0
  package var delaysRequest = 0.0
  package var delaysReply = 0.0
  package var losesMessage = 0.0
  package var delaysMessage = 0.0
  package var doublesMessage = 0.0
  package var losesEvent = 0.0
  package var delaysEvent = 0.0
  package var doublesEvent = 0.0
  package var longestDelay = 3.0

  // The store.
  /// The interval between failovers to a replica that lacks the last writes.
  package var failovers = 0.0
  package var longestLag = 2.0
  package var flushes = 0.0
  /// The interval between refusals of writes, as by full memory or a former master.
  package var refusals = 0.0
  package var longestRefusal = 40.0
  /// The time for which ended executions are kept, in seconds; nil for ever.
  package var retention: Double?
  /// The number of executions beyond which ended ones are removed.
  package var maxRetained = Int.max

  // Agents.
  package var agentBreaks = 0.0
  /// The probability that an agent says goodbye before its connection breaks.
  package var goodByes = 0.0
  /// The probability that the node does not notice the break of a connection.
  package var silentBreaks = 0.0
  package var agentDeaths = 0.0
  package var longestAway = 5.0
  /// The probability that an agent continues cancelled tasks.
  package var stubborn = 0.0
  /// The probability that an agent's heartbeats do not list its tasks.
  package var silentAboutTasks = 0.0
  /// The probability that an agent cannot report its tasks at registration.
  package var forgetful = 0.0
  /// The probability that an agent stays with a silent node.
  package var loyalty = 0.3
  package var hangs = 0.0
  package var answersLate = 0.0
  package var answersTwice = 0.0
  package var errors = 0.1
  package var poison = 0.0

  /// Whether faults are so frequent that no promise about time holds before they stop.
  package var isDense = false

  package init(_ name: String, _ change: (inout ExecutionMix) -> Void = { _ in }) {
    self.name = name
    change(&self)
  }

  package var description: String { name }

  /// Whether the store loses acknowledged writes.
  var losesWrites: Bool { failovers > 0 || flushes > 0 }

  func with(_ name: String, _ change: (inout ExecutionMix) -> Void) -> ExecutionMix {
    var mix = self
    mix.name = name
    change(&mix)
    return mix
  }
}
