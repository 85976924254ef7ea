import Logging
import ParallaxHA
import ParallaxRedisStores
import ServiceLifecycle

/// The membership of a node whose store is shared: it shows that the node lives, so that others can work with it, or do not take its store
/// by mistake if it runs alone, and finds out who else is there.
struct NodeMembership: Service {
  typealias Members = Membership<RedisMembershipStore, ContinuousClock>

  let store: RedisMembershipStore
  let session: NodeSession
  /// Nil if the node runs alone.
  let clusterID: String?
  let keyPrefix: String
  let settings: MembershipSettings
  /// Where other nodes reach this one, as soon as that is known.
  let address: @Sendable () async throws -> String
  let report: @Sendable () -> MemberReport
  /// Called once, when the address is known.
  let onAddress: @Sendable (String) -> Void
  /// Called once, when the node's field is gone.
  let onLeft: @Sendable () -> Void
  let logger: Logger

  private let running = Eventual<Members>()

  init(
    store: RedisMembershipStore, session: NodeSession, clusterID: String?, keyPrefix: String, settings: MembershipSettings,
    address: @escaping @Sendable () async throws -> String, report: @escaping @Sendable () -> MemberReport,
    onAddress: @escaping @Sendable (String) -> Void, onLeft: @escaping @Sendable () -> Void, logger: Logger
  ) {
    self.store = store
    self.session = session
    self.clusterID = clusterID
    self.keyPrefix = keyPrefix
    self.settings = settings
    self.address = address
    self.report = report
    self.onAddress = onAddress
    self.onLeft = onLeft
    var logger = logger
    // That the store is away is said once, by its client.
    if clusterID == nil { logger.logLevel = max(logger.logLevel, .error) }
    self.logger = logger
  }

  /// Shows that the node lives until the node stops; its field is removed then.
  func run() async throws {
    let address: String
    do { address = try await cancelWhenGracefulShutdown { try await self.address() } } catch is CancellationError { return }
    onAddress(address)
    let members = Members(
      store: store, session: session, clusterID: clusterID, address: address, version: ParallaxNode.version, settings: settings,
      clock: ContinuousClock(), logger: logger, report: report)
    running.set(members)
    try await members.run()
    onLeft()
  }

  /// The membership, once the node knows its address.
  var members: Members {
    get async throws { try await running.value }
  }

  /// The nodes that are known to the store, as this one sees them, read anew; nil before the node knows its address.
  var view: MembershipView? {
    get async { await running.known?.refreshedView() }
  }

  /// The nodes as they were seen last; nil before the node knows its address.
  var lastView: MembershipView? { running.known?.view }

  /// Whether others may be giving this node's work away, since it could not write for the detection window.
  var isCutOff: Bool { running.known?.isCutOff ?? false }

  /// Writes the node's field at once, since something about it has changed.
  func announce() {
    running.known?.announce()
  }

  /// Returns when nobody is alive on this store who should not be; throws `MembershipError` with `storeInUse` if somebody is.
  func check() async throws {
    _ = try await running.value
    _ = try await StoreGuard(
      store: store, nodeID: session.nodeID, clusterID: clusterID, keyPrefix: keyPrefix, clock: ContinuousClock()
    ).check()
  }

  /// Throws when another process turns up under this node's id; else goes on until it is cancelled.
  func watchForTwin() async throws {
    let members = try await running.value
    let events = members.events()
    if let other = members.twin { throw taken(by: other) }
    for await event in events {
      if case .twin(let other) = event { throw taken(by: other) }
    }
  }

  private func taken(by other: MemberRecord) -> MembershipError {
    MembershipError(
      .storeInUse,
      "another process has started as node \"\(session.nodeID)\" at \(other.address): give each node an id of its own (node.id)")
  }
}
