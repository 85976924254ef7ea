import ParallaxHTTP

/// Needs nothing but the library.
func makeProbes() -> HealthProbes {
  HealthProbes(nodeID: "worker-1", version: "1.0.0", checks: [HealthCheck("disk") { .healthy }])
}
