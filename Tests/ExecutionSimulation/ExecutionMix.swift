/// The faults of a simulated cluster and their rates, and its load.
///
/// Intervals are means in seconds for the whole cluster, 0 for never; lengths are the longest, in seconds; probabilities are per message,
/// task, agent or node.
package struct ExecutionMix: Sendable, CustomStringConvertible {
  package var name: String
  package var nodes = 3
  package var agents = 4
  /// How long things go wrong.
  package var faultTime = 120.0

  // The load.
  package var submissions = 0.8
  package var timeouts = 20.0...60.0
  package var longestWork = 8.0
  /// Of an execution that takes two agents.
  package var pairs = 0.2
  /// Of a request with an idempotency key, which is repeated until it is answered.
  package var keys = 0.4
  package var cancellations = 0.0

  // Nodes.
  package var crashes = 0.0
  package var longestDown = 40.0
  /// SIGTERM.
  package var stops = 0.0
  package var pauses = 0.0
  package var longestPause = 70.0
  /// A node without its store.
  package var cuts = 0.0
  package var longestCut = 60.0
  /// A node without the events of others.
  package var deafness = 0.0
  package var longestDeafness = 60.0
  /// By how much clock rates are off, at most.
  package var clockRateError = 0.0
  /// By how much wall clocks are off, at most, in seconds.
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
  /// A replica takes over that lacks what was written last.
  package var failovers = 0.0
  package var longestLag = 2.0
  package var flushes = 0.0
  /// Full memory, or a master that is a replica by now.
  package var refusals = 0.0
  package var longestRefusal = 40.0

  // Agents.
  package var agentBreaks = 0.0
  /// Of a break that is a good-bye.
  package var goodByes = 0.0
  /// Of a break that its node hears nothing of.
  package var silentBreaks = 0.0
  package var agentDeaths = 0.0
  package var longestAway = 5.0
  /// Of an agent that goes on with what is cancelled.
  package var stubborn = 0.0
  /// Of an agent whose heartbeats list nothing.
  package var silentAboutTasks = 0.0
  /// Of an agent that cannot tell which tasks it has when it registers.
  package var forgetful = 0.0
  /// Of an agent that stays with a node which is silent.
  package var loyalty = 0.3
  package var hangs = 0.0
  package var answersLate = 0.0
  package var answersTwice = 0.0
  package var errors = 0.1
  package var poison = 0.0

  /// Whether things go wrong so often that nothing is promised about time before they stop.
  package var isDense = false

  package init(_ name: String, _ change: (inout ExecutionMix) -> Void = { _ in }) {
    self.name = name
    change(&self)
  }

  package var description: String { name }

  /// Whether the store loses what it has acknowledged.
  var losesWrites: Bool { failovers > 0 || flushes > 0 }

  func with(_ name: String, _ change: (inout ExecutionMix) -> Void) -> ExecutionMix {
    var mix = self
    mix.name = name
    change(&mix)
    return mix
  }
}
