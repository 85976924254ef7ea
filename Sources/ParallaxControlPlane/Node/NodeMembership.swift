import Logging
import ParallaxConcurrency
import ParallaxHA
import ServiceLifecycle

/// A node's view of the members of its cluster.
typealias NodeMembers = Membership<AnyMembershipStore, MonotonicClock>

extension NodeMembers {
  /// Announces that the node stops, which its report has to say already, and returns the members that can take over its work.
  ///
  /// Of two nodes that stop at the same time, at least one sees that the other stops: each writes before it reads.
  ///
  /// - Parameters:
  ///   - limit: The longest time for the write and the read; after it the last known members count.
  ///   - clock: The clock of the limit.
  /// - Returns: The sessions of the other members that can receive work.
  func announceStop(within limit: Duration, clock: NodeClock) async -> [NodeSession] {
    announce()
    _ = await race {
      _ = await self.refreshedView()
    } until: {
      try await clock.sleep(for: limit)
    }
    return view.members.filter { $0.status == .healthy && $0.record.session != session }.map(\.record.session)
  }
}

/// Runs a node's membership: waits for the node's address, guards the store, and detects twins.
struct NodeMembership: Service {
  /// The membership itself.
  let members: NodeMembers

  private let storeGuard: StoreGuard<AnyMembershipStore, MonotonicClock>
  private let address: @Sendable () async throws -> String
  private let onAddress: @Sendable (String) -> Void
  private let onLeft: @Sendable () -> Void
  private let joining = Deferred<Void>()

  /// Makes the service.
  ///
  /// - Parameters:
  ///   - members: The membership.
  ///   - storeGuard: Detects another user of the store.
  ///   - address: Waits for the address by which other nodes reach this one.
  ///   - onAddress: Called once, when the address is known.
  ///   - onLeft: Called once, when the node has left its cluster.
  init(
    members: NodeMembers, storeGuard: StoreGuard<AnyMembershipStore, MonotonicClock>,
    address: @escaping @Sendable () async throws -> String, onAddress: @escaping @Sendable (String) -> Void,
    onLeft: @escaping @Sendable () -> Void
  ) {
    self.members = members
    self.storeGuard = storeGuard
    self.address = address
    self.onAddress = onAddress
    self.onLeft = onLeft
  }

  /// Sends heartbeats until the node stops, then leaves the cluster.
  func run() async throws {
    let address: String
    do { address = try await cancelWhenGracefulShutdown { try await self.address() } } catch is CancellationError { return }
    members.setAddress(address)
    onAddress(address)
    joining.set(())
    try await members.run()
    // A cancelled node leaves its field in place, as a crash does.
    if !Task.isCancelled { onLeft() }
  }

  /// Checks that the store has no other user; throws `MembershipError` with `storeInUse` otherwise.
  func check() async throws {
    // The node joins before it checks: of two nodes that start at the same time, each then sees the other.
    try await joining.value()
    _ = try await storeGuard.check()
  }

  /// Throws if another process starts under this node's id; runs until it is cancelled.
  func watchForTwin() async throws {
    let events = members.events()
    if let twin = members.twin { throw twinError(twin) }
    for await event in events {
      if case .twin(let other) = event { throw twinError(other) }
    }
  }

  private func twinError(_ other: MemberRecord) -> MembershipError {
    MembershipError(
      .storeInUse,
      "another process has started as node \"\(members.session.nodeID)\" at \(other.address): give each node an id of its own (node.id)")
  }
}
