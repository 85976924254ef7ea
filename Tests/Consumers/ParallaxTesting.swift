import ParallaxTesting

/// Needs nothing but the library, and no test framework.
func rules() -> [String] {
  StateStoreConformance.checks.map(\.rule) + InboxConformance.checks.map(\.rule) + EventBusConformance.checks.map(\.rule)
}
