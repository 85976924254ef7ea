import ParallaxAPI
import ParallaxState

// MARK: - Places, and tasks that take down their agents

extension DispatchMachine {
  /// How long the place of a task that is not wanted any more stays taken at an agent that says nothing of it.
  private static let placePatience = Duration.seconds(30)

  mutating func withdraw(_ task: TaskRecord, at now: Moment) {
    agents.withdraw(task: task.id, from: task.agentID)
    backlogs[task.agentID]?.removeAll { $0.taskId == task.id }
    if agents[task.agentID]?.home == nil { watchPlace(of: task.id, at: task.agentID, at: now) }
    clearSuspicion(of: task)
  }

  mutating func watchPlace(of task: String, at id: String, at now: Moment) {
    guard let agent = agents[id], agent.ending.contains(task) else { return }
    timers.add(.place(task: task, agent: id, epoch: agent.epoch), at: now.instant + Self.placePatience)
  }

  /// An agent has answered a task, wanted or not.
  mutating func freePlace(of task: String, at id: String) {
    guard let agent = agents[id], agent.ending.contains(task) || agent.tasks[task]?.isEmpty == true else { return }
    agents.free(task: task, from: id, completed: false)
  }

  mutating func clearSuspicion(of task: TaskRecord) {
    if suspects[task.agentID] == task.id { suspects[task.agentID] = nil }
  }

  /// An agent has registered without tasks that it had: of several that were lost before, none can be told to have been why.
  mutating func noteLosses(of id: String) {
    guard let agent = agents[id], let reported = agent.reportedTasks else { return }
    let lost = agent.tasks.filter { task, execution in
      !reported.contains(task) && agent.formerlyDelivered.contains(task) && executions[execution]?.machine.isSent(task) == true
    }
    for (task, execution) in lost { executions[execution]?.losses[task, default: 0] += 1 }
    let again = lost.filter { task, execution in executions[execution]?.losses[task] ?? 0 > 1 }
    for (task, execution) in again {
      if again.count > 1 {
        executions[execution]?.lostAmongOthers.insert(task)
      } else {
        executions[execution]?.lostAmongOthers.remove(task)
      }
    }
  }

  /// Gives a task that its agent came back without to that agent once more; the second time it is an attempt that failed.
  mutating func repeatDelivery(of task: TaskRecord, in id: String, at now: Moment) -> [DispatchAction] {
    guard let running = executions[id], agents[task.agentID]?.isConnected == true, !agents.isDelivered(task: task.id, to: task.agentID)
    else { return [] }
    guard running.losses[task.id] ?? 0 > 1 else { return deliver(task, of: running.machine.stored.execution, at: now) }
    let loss: ExecutionMachine.Loss = running.lostAmongOthers.contains(task.id) ? .amongOthers : .repeated
    return advance(id, at: now) { $0.taskLost(task.id, loss, at: now.wall) }
  }
}
