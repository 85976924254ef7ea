import ParallaxControlPlane

/// A whole node with nothing but the library.
func runNode() async throws {
  var configuration = NodeConfiguration(nodeID: "node-1")
  configuration.server.port = 9_090
  try await ParallaxNode(configuration: configuration).run()
}
