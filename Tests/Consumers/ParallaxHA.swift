import ParallaxHA

/// Needs nothing but the library.
func makeElection() throws -> LeaderElection<InMemoryElectionStore, ContinuousClock> {
  LeaderElection(store: InMemoryElectionStore(), nodeID: "worker-1")
}
