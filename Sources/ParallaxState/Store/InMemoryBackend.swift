package import ParallaxAPI
package import ParallaxHA

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// All stores in this process: for a node that runs alone, for tests and for simulations.
///
/// What it holds ends with the process. Nodes of one process form a cluster when they are given the same value.
package struct InMemoryBackend: Backend {
  package let state: any StateStore
  package let election: any ElectionStore = InMemoryElectionStore()
  package let membership: any MembershipStore = InMemoryMembershipStore()
  package let inboxes: any InboxStore = InMemoryInboxStore()
  package let events: any EventBus = InMemoryEventBus()

  /// Makes empty stores.
  ///
  /// - Parameter now: The wall clock, for the expiry of idempotency keys; the system's by default.
  package init(now: @escaping @Sendable () -> Timestamp = { InMemoryBackend.wallClock }) {
    state = InMemoryStateStore(now: now)
  }

  /// No other process reaches the stores, and they lose nothing while it lives.
  package var traits: BackendTraits { BackendTraits(isShared: false, losesAcknowledgedWrites: false) }

  /// The system's wall clock.
  package static var wallClock: Timestamp {
    Timestamp(milliseconds: Int64((Date.now.timeIntervalSince1970 * 1_000).rounded(.down)))
  }
}
