import ParallaxAgent

struct Text: Codable, Sendable { var text: String }

func work() async throws {
  let agent = ParallaxAgent(name: "echo-1", capabilities: ["echo"], url: "http://127.0.0.1:8080") { (input: Text) in input }
  try await agent.run()
}
