import ParallaxControlPlane

/// Needs nothing but the library.
func makeConfiguration() -> NodeConfiguration {
  var configuration = NodeConfiguration(nodeID: "node-1")
  configuration.server.port = 9_090
  return configuration
}
