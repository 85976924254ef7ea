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
  /// - Parameter now: The time, for retention and the expiry of idempotency keys; by default ``steadyClock()``.
  public init(now: @escaping @Sendable () -> Timestamp = InMemoryBackend.steadyClock()) {
    state = InMemoryStateStore(now: now)
  }

  /// The stores are not shared with other processes, and lose no acknowledged write.
  public var traits: BackendTraits { BackendTraits(isShared: false, losesAcknowledgedWrites: false) }

  /// A clock that begins at the system's wall clock and goes on at the rate of the monotonic one.
  ///
  /// A wall clock that is set, as at the first contact with a time server, moves it neither forward nor back: no execution is removed
  /// before its time, and no idempotency key runs again.
  ///
  /// - Parameter clock: The monotonic clock; by default one that counts the time of a suspended machine.
  /// - Returns: The time by that clock.
  public static func steadyClock<C: Clock>(_ clock: C = ContinuousClock()) -> @Sendable () -> Timestamp where C.Duration == Duration {
    let (begin, instant) = (wallClock, clock.now)
    return { begin + instant.duration(to: clock.now) }
  }

  /// The system's wall clock.
  public static var wallClock: Timestamp {
    Timestamp(milliseconds: Int64((Date.now.timeIntervalSince1970 * 1_000).rounded(.down)))
  }
}
