/// The unanswered tasks of an agent at the end of its connection.
package struct Cargo: Sendable, Hashable {
  /// The tasks that were sent over the connection, or that the agent reported when it registered.
  package var sent: Set<String>
  /// The tasks that waited at the agent's node.
  package var unsent: Set<String>

  /// Whether other nodes need to know: a task of theirs was not sent, or may have been lost beside another.
  func concernsOthers(_ isOwn: (String) -> Bool) -> Bool {
    !unsent.allSatisfy(isOwn) || sent.count > 1 && !sent.allSatisfy(isOwn)
  }
}

/// The tasks of other nodes that an agent has lost: any of them may be the cause of a repeated loss of a task of this node.
struct OthersLosses: Sendable {
  /// The tasks of other nodes on the last ended connection, until the agent registers again.
  private var carried: (epoch: Int64, tasks: Set<String>)?
  /// The tasks that the agent's last registration lacked.
  private var last: Set<String> = []
  /// The tasks that an earlier registration lacked.
  private var earlier: Set<String> = []

  /// Whether the last registration lacked such a task, and an earlier one too.
  var isRepeated: Bool { !last.isDisjoint(with: earlier) }

  /// The tasks of other nodes on the connection of an epoch, which has ended, without a registration since that could report them.
  func carried(over epoch: Int64) -> Set<String> { carried.map { $0.epoch == epoch ? $0.tasks : [] } ?? [] }

  /// Records the tasks of other nodes on a connection that has ended.
  mutating func ended(_ tasks: Set<String>, epoch: Int64) { carried = (epoch, tasks) }

  /// Records a registration after the connection of the epoch `former`; `reported` is nil if the agent cannot report its tasks.
  mutating func registered(after former: Int64, reported: Set<String>?) {
    earlier.formUnion(last)
    last = []
    guard let carried, carried.epoch == former, let reported else { return }
    note(carried.tasks, reported)
    self.carried = nil
  }

  /// Records the tasks of other nodes on the last connection, after the agent has registered again.
  mutating func note(_ tasks: Set<String>, _ reported: Set<String>) {
    last = tasks.subtracting(reported)
    earlier.formIntersection(tasks)
  }
}
