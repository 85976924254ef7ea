#if ControlPlane
import Logging
import ParallaxAPI
import ParallaxControlPlane
import ParallaxState
import ServiceLifecycle
import UnixSignals
#endif

/// A control-plane node inside another service, with its state in memory and a pattern of its own.
///
/// `swift run --traits ControlPlane EmbeddedNode` serves on 127.0.0.1:8080 until Ctrl-C.
@main struct EmbeddedNode {
  static func main() async throws {
    #if ControlPlane
    let logger = Logger(label: "embedded-node")
    var hooks = ParallaxNode.Hooks()
    hooks.onListening = { print("listening on \($0)") }
    let greeting = PatternDefinition(name: "greeting", agents: AgentRequirement(capabilities: ["greeting"]), timeout: .seconds(30))
    let node = try ParallaxNode(
      configuration: NodeConfiguration(nodeID: "node-1"), backend: InMemoryBackend(), patterns: [greeting], hooks: hooks, logger: logger)
    let group = ServiceGroup(services: [node], gracefulShutdownSignals: [.sigint, .sigterm], logger: logger)
    try await group.run()
    #else
    print("build with a node: swift run --traits ControlPlane EmbeddedNode")
    #endif
  }
}
