import Testing

@testable import ParallaxControlPlane

@Suite struct AgentDirectoryTests {
  private let text = PoolKey(["text"])
  private let both = PoolKey(["text", "fast"])

  private func directory(_ agents: [(id: String, capabilities: Set<String>, limit: Int)]) -> AgentDirectory {
    var directory = AgentDirectory()
    for agent in agents { directory.upsert(id: agent.id, epoch: 1, capabilities: agent.capabilities, limit: agent.limit) }
    return directory
  }

  private func select(_ directory: inout AgentDirectory, _ key: PoolKey) -> String? {
    directory.select(key, min: 1, max: 1).first
  }

  @Test func theAgentWithTheLowestLoadPerLimitIsSelected() {
    var agents = directory([("a", ["text"], 10), ("b", ["text"], 2)])
    agents.assign("1", TaskInHand(executionID: "e", isOwn: true), to: "a")
    agents.assign("2", TaskInHand(executionID: "e", isOwn: true), to: "a")
    agents.assign("3", TaskInHand(executionID: "e", isOwn: true), to: "b")
    #expect(select(&agents, text) == "a")
    for task in ["4", "5", "6", "7"] { agents.assign(task, TaskInHand(executionID: "e", isOwn: true), to: "a") }
    #expect(select(&agents, text) == "b")
  }

  @Test func equallyLoadedAgentsTakeTurns() {
    var agents = directory([("a", ["text"], 100), ("b", ["text"], 100), ("c", ["text"], 100)])
    var order: [String] = []
    for task in 0..<7 {
      guard let id = select(&agents, text) else { break }
      order.append(id)
      agents.assign("\(task)", TaskInHand(executionID: "e", isOwn: true), to: id)
      agents.free(task: "\(task)", from: id, completed: true)
    }
    #expect(order == ["a", "b", "c", "a", "b", "c", "a"])
  }

  @Test func noAgentExceedsItsLimit() {
    var agents = directory([("a", ["text"], 2), ("b", ["text"], 1)])
    for task in 0..<3 {
      guard let id = select(&agents, text) else { Issue.record("no room at \(task)"); return }
      agents.assign("\(task)", TaskInHand(executionID: "e", isOwn: true), to: id)
    }
    #expect(select(&agents, text) == nil)
    #expect(agents.hasRoom(text) == false)
    #expect(agents["a"]?.tasks.count == 2 && agents["b"]?.tasks.count == 1)
    agents.free(task: "0", from: "a", completed: true)
    #expect(select(&agents, text) == "a")
  }

  @Test func aLoweredLimitAppliesOnceEnoughTasksHaveEnded() {
    var agents = directory([("a", ["text"], 3)])
    for task in 0..<3 { agents.assign("\(task)", TaskInHand(executionID: "e", isOwn: true), to: "a") }
    agents.upsert(id: "a", epoch: 1, capabilities: ["text"], limit: 1)
    agents.free(task: "0", from: "a", completed: true)
    agents.free(task: "1", from: "a", completed: true)
    #expect(select(&agents, text) == nil)
    agents.free(task: "2", from: "a", completed: true)
    #expect(select(&agents, text) == "a")
  }

  @Test func anAgentNeedsAllCapabilities() {
    var agents = directory([("a", ["text"], 1), ("b", ["fast"], 1), ("c", ["fast", "text", "more"], 1)])
    #expect(agents.select(both, min: 1, max: 9) == ["c"])
    #expect(Set(agents.select(text, min: 1, max: 9)) == ["a", "c"])
    #expect(agents.capableCount(both) == 1 && agents.capableCount(text) == 2)
    #expect(agents.capableCount(PoolKey(["none"])) == 0)
  }

  @Test func theOrderOfCapabilitiesDoesNotMatter() {
    #expect(PoolKey(["a", "b"]) == PoolKey(["b", "a", "b"]))
  }

  @Test func fewerAgentsThanTheMinimumAreNotSelected() {
    var agents = directory([("a", ["text"], 1), ("b", ["text"], 1)])
    #expect(agents.select(text, min: 3, max: 5) == [])
    #expect(agents.select(text, min: 2, max: 5).count == 2)
  }

  @Test func excludedAgentsAreSkippedAndRemain() {
    var agents = directory([("a", ["text"], 1), ("b", ["text"], 1)])
    #expect(agents.select(text, min: 1, max: 1, excluding: ["a"]) == ["b"])
    #expect(agents.select(text, min: 1, max: 1, excluding: ["a", "b"]) == [])
    #expect(agents.select(text, min: 2, max: 2).count == 2)
    #expect(agents.hasCapable(text, besides: ["a"]) == true)
    #expect(agents.hasCapable(text, besides: ["a", "b"]) == false)
    #expect(agents.hasCapable(text, besides: ["a", "b", "x", "y"]) == false)
  }

  @Test func changedCapabilitiesTakeEffectAtOnce() {
    var agents = directory([("a", ["text"], 1)])
    #expect(select(&agents, text) == "a")
    agents.upsert(id: "a", epoch: 1, capabilities: ["fast"], limit: 1)
    #expect(select(&agents, text) == nil && agents.capableCount(text) == 0)
    #expect(select(&agents, PoolKey(["fast"])) == "a")
    agents.upsert(id: "a", epoch: 1, capabilities: ["fast", "text"], limit: 1)
    #expect(select(&agents, both) == "a" && select(&agents, text) == "a")
  }

  @Test func disconnectedDrainingAndExpectedAgentsAreNotSelected() {
    var agents = directory([("a", ["text"], 1), ("b", ["text"], 1)])
    agents.disconnect(id: "a")
    agents.setDraining(true, id: "b")
    agents.expect(id: "c")
    #expect(select(&agents, text) == nil)
    #expect(agents.capableCount(text) == 0 && agents.connectedCount == 1)
    agents.setDraining(false, id: "b")
    #expect(select(&agents, text) == "b")
    agents.remove(id: "b")
    #expect(select(&agents, text) == nil && agents["b"] == nil)
  }

  @Test func aPoolIsRefreshedWhenAnAgentGainsCapacityOrLeaves() {
    var agents = directory([("a", ["text"], 1)])
    _ = agents.capableCount(text)
    _ = agents.takeRefreshed()
    #expect(agents.takeRefreshed() == [])
    agents.assign("1", TaskInHand(executionID: "e", isOwn: true), to: "a")
    #expect(agents.takeRefreshed() == [])
    agents.free(task: "1", from: "a", completed: false)
    #expect(agents.takeRefreshed() == [text])
    agents.disconnect(id: "a")
    #expect(agents.takeRefreshed() == [text])
    agents.upsert(id: "a", epoch: 2, capabilities: ["text"], limit: 1)
    #expect(agents.takeRefreshed() == [text])
    agents.upsert(id: "a", epoch: 2, capabilities: ["other"], limit: 1)
    #expect(agents.takeRefreshed() == [text])
  }

  @Test func anAgentKeepsItsTasksWhenItRegistersAgain() {
    var agents = directory([("a", ["text"], 2)])
    agents.assign("1", TaskInHand(executionID: "e1", isOwn: true), to: "a")
    agents.disconnect(id: "a")
    agents.upsert(id: "a", epoch: 2, capabilities: ["text"], limit: 2)
    #expect(agents["a"]?.tasks["1"]?.executionID == "e1" && agents["a"]?.epoch == 2)
    agents.free(task: "1", from: "a", completed: true)
    agents.free(task: "1", from: "a", completed: true)
    #expect(agents["a"]?.tasksCompleted == 1)
  }

  @Test func outdatedCandidatesAreDropped() {
    var agents = directory([("a", ["text"], 1_000_000), ("b", ["text"], 1)])
    _ = agents.capableCount(text)
    for task in 0..<20_000 { agents.assign("\(task)", TaskInHand(executionID: "e", isOwn: true), to: "a") }
    #expect(agents.candidateCount(text) <= 2 * 2 + 65)
    #expect(select(&agents, text) == "b")
  }
}
