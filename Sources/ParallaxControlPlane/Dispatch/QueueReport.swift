import ParallaxAPI
import ParallaxState

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
    return queues.values.sorted { ($1.waiting, $1.running, $0.capabilities.joined()) < ($0.waiting, $0.running, $1.capabilities.joined()) }
  }
}
