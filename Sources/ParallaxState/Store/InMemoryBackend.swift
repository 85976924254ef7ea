public import ParallaxAPI
public import ParallaxHA

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// A backend in the memory of this process, for a node that runs alone, for tests and for simulations.
///
/// The state ends with the process. Several nodes in one process form a cluster if they share the backend.
public struct InMemoryBackend: Backend {
  /// The store of executions, agents, patterns and node sessions.
  public let state: any StateStore
  /// The store of the election record.
  public let election: any ElectionStore = InMemoryElectionStore()
  /// The store of the member records.
  public let membership: any MembershipStore = InMemoryMembershipStore()
  /// The store of the messages between node sessions.
  public let inboxes: any InboxStore = InMemoryInboxStore()
  /// The bus of the events.
  public let events: any EventBus = InMemoryEventBus()

  /// Makes empty stores.
  ///
  /// - Parameter now: The wall clock, for the expiry of idempotency keys; the system's by default.
  public init(now: @escaping @Sendable () -> Timestamp = { InMemoryBackend.wallClock }) {
    state = InMemoryStateStore(now: now)
  }

  /// The stores are not shared with other processes, and lose no acknowledged write.
  public var traits: BackendTraits { BackendTraits(isShared: false, losesAcknowledgedWrites: false) }

  /// The system's wall clock.
  public static var wallClock: Timestamp {
    Timestamp(milliseconds: Int64((Date.now.timeIntervalSince1970 * 1_000).rounded(.down)))
  }
}
