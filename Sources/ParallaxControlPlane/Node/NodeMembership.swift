import Logging
import ParallaxConcurrency
import ParallaxHA
import ServiceLifecycle

/// The members of a node's cluster as that node sees them.
typealias NodeMembers = Membership<AnyMembershipStore, ContinuousClock>

/// The service around a node's membership: it waits until the node knows its address, guards the store, and finds twins.
struct NodeMembership: Service {
  /// The membership itself.
  let members: NodeMembers

  private let storeGuard: StoreGuard<AnyMembershipStore, ContinuousClock>
  private let address: @Sendable () async throws -> String
  private let onAddress: @Sendable (String) -> Void
  private let onLeft: @Sendable () -> Void
  private let joining = Deferred<Void>()

  /// Makes the service.
  ///
  /// - Parameters:
  ///   - members: The membership.
  ///   - storeGuard: Finds out whether the store is in use by somebody else.
  ///   - address: Where other nodes reach this one, as soon as that is known.
  ///   - onAddress: Called once, when the address is known.
  ///   - onLeft: Called once, when the node's field is gone.
  init(
    members: NodeMembers, storeGuard: StoreGuard<AnyMembershipStore, ContinuousClock>,
    address: @escaping @Sendable () async throws -> String, onAddress: @escaping @Sendable (String) -> Void,
    onLeft: @escaping @Sendable () -> Void
  ) {
    self.members = members
    self.storeGuard = storeGuard
    self.address = address
    self.onAddress = onAddress
    self.onLeft = onLeft
  }

  /// Shows that the node lives until the node stops; its field is removed then.
  func run() async throws {
    let address: String
    do { address = try await cancelWhenGracefulShutdown { try await self.address() } } catch is CancellationError { return }
    members.setAddress(address)
    onAddress(address)
    joining.set(())
    try await members.run()
    onLeft()
  }

  /// Returns when nobody is alive on this store who should not be; throws `MembershipError` with `storeInUse` if somebody is.
  func check() async throws {
    // Of two nodes that start at the same time each sees the other's field.
    try await joining.value()
    _ = try await storeGuard.check()
  }

  /// Throws when another process turns up under this node's id; else goes on until it is cancelled.
  func watchForTwin() async throws {
    let events = members.events()
    if let twin = members.twin { throw taken(by: twin) }
    for await event in events {
      if case .twin(let other) = event { throw taken(by: other) }
    }
  }

  private func taken(by other: MemberRecord) -> MembershipError {
    MembershipError(
      .storeInUse,
      "another process has started as node \"\(members.session.nodeID)\" at \(other.address): give each node an id of its own (node.id)")
  }
}
