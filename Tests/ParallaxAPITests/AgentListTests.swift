import ParallaxAPI
import Testing

@Suite struct AgentListTests {
  private static func agent(_ number: Int, metadata: JSONValue? = nil) -> AgentDocument {
    AgentDocument(
      id: "agent_\(number)", name: nil, status: .idle, capabilities: ["text"], nodeId: "node-a", connectedAt: Timestamp(milliseconds: 0),
      lastHeartbeat: nil, activeTasks: 0, tasksCompleted: 0, maxConcurrentTasks: 1, metadata: metadata)
  }

  @Test func aPageHasItsPartOfTheAgentsAndTheNumberOfAll() {
    let list = AgentList(agents: (0..<5).map { Self.agent($0) })
    let page = list.page(limit: 2, offset: 3)
    #expect(page.agents.map(\.id) == ["agent_3", "agent_4"])
    #expect(page.total == 5 && page.connected == 5 && page.limit == 2 && page.offset == 3)
    #expect(list.page(limit: 2, offset: 5).agents.isEmpty)
  }

  @Test func aPageLeavesOutMetadataThatIsLarge() {
    let large = JSONValue.object(["notes": .string(String(repeating: "x", count: AgentList.metadataLimit))])
    let page = AgentList(agents: [Self.agent(0, metadata: large), Self.agent(1, metadata: ["region": "eu"])]).page(limit: 100, offset: 0)
    #expect(page.agents.map(\.metadata) == [nil, ["region": "eu"]])
  }
}
