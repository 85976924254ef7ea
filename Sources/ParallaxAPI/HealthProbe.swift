/// The health probes of a node and of any service with `ParallaxHTTP`, by path.
package enum HealthProbe: String, Sendable, Hashable, CaseIterable {
  /// Reports the state of the process and its checks.
  case health = "/health"
  /// Reports whether the process makes progress.
  case live = "/health/live"
  /// Reports whether the process accepts work.
  case ready = "/health/ready"
}
