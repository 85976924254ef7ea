import ParallaxAPI
import ParallaxState
import Synchronization

extension [QueueDocument] {
  /// Groups the executions of a node by the capabilities that they need, the longest queue first.
  static func report(on executions: some Collection<DrivenExecution>, _ agents: AgentDirectory, at nodeID: String) -> [QueueDocument] {
    var oldest: [PoolKey: DrivenExecution] = [:]
    var queues: [PoolKey: QueueDocument] = [:]
    for driven in executions {
      let key = driven.key
      var queue =
        queues.removeValue(forKey: key)
        ?? QueueDocument(capabilities: key.capabilities, waiting: 0, running: 0, oldestSince: nil, reason: nil, nodeId: nodeID)
      if driven.machine.isWaitingForAgents {
        queue.waiting += 1
        if oldest[key].map({ driven.execution.createdAt < $0.execution.createdAt }) ?? true { oldest[key] = driven }
      } else {
        queue.running += 1
      }
      queues[key] = queue
    }
    for (key, driven) in oldest {
      let capable = agents.all.count { $0.isCapable && $0.capabilities.isSuperset(of: key.capabilities) }
      queues[key]?.oldestSince = driven.execution.createdAt
      queues[key]?.reason = capable < driven.execution.pattern.agents.min ? .noAgent : .allBusy
    }
    return queues.values.sorted { left, right in
      if (left.waiting, left.running) != (right.waiting, right.running) {
        return (left.waiting, left.running) > (right.waiting, right.running)
      }
      return left.capabilities.lexicographicallyPrecedes(right.capabilities)
    }
  }
}

/// The last report, made anew at most once a second: each takes time for every execution, under the dispatcher's lock.
final class QueueReports: Sendable {
  private let dispatcher: Dispatcher
  private let clock: NodeClock
  private let last = Mutex<(madeAt: Duration, queues: [QueueDocument])?>(nil)

  init(dispatcher: Dispatcher, clock: NodeClock) {
    self.dispatcher = dispatcher
    self.clock = clock
  }

  var queues: [QueueDocument] {
    last.withLock { last in
      let now = clock.now.instant
      if let last, now - last.madeAt < .seconds(1) { return last.queues }
      let queues = dispatcher.queues
      last = (now, queues)
      return queues
    }
  }
}
