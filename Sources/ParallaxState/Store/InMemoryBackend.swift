public import ParallaxAPI
public import ParallaxHA

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// All stores in this process: for a node that runs alone, for tests and for simulations.
///
/// What it holds ends with the process. Nodes of one process form a cluster when they are given the same value.
public struct InMemoryBackend: Backend {
  /// Executions, agents, patterns and node sessions, in memory.
  public let state: any StateStore
  /// The record of the leader election, in memory.
  public let election: any ElectionStore = InMemoryElectionStore()
  /// The fields of the members, in memory.
  public let membership: any MembershipStore = InMemoryMembershipStore()
  /// The messages between node sessions, in memory.
  public let inboxes: any InboxStore = InMemoryInboxStore()
  /// The events, within this process.
  public let events: any EventBus = InMemoryEventBus()

  /// Makes empty stores.
  ///
  /// - Parameter now: The wall clock, for the expiry of idempotency keys; the system's by default.
  public init(now: @escaping @Sendable () -> Timestamp = { InMemoryBackend.wallClock }) {
    state = InMemoryStateStore(now: now)
  }

  /// No other process reaches the stores, and they lose nothing while it lives.
  public var traits: BackendTraits { BackendTraits(isShared: false, losesAcknowledgedWrites: false) }

  /// The system's wall clock.
  public static var wallClock: Timestamp {
    Timestamp(milliseconds: Int64((Date.now.timeIntervalSince1970 * 1_000).rounded(.down)))
  }
}
