import Logging
import ParallaxHA
import ParallaxRedisStores
import ServiceLifecycle

/// The membership of a durable node that runs alone: it shows that the node lives, so that no other one takes its store by mistake,
/// and finds out whether another one has it.
struct SoleNode: Service {
  typealias NodeMembership = Membership<RedisMembershipStore, ContinuousClock>

  let store: RedisMembershipStore
  let session: NodeSession
  let keyPrefix: String
  let settings: MembershipSettings
  /// `node.address`, or else where the server turns out to listen.
  let configuredAddress: String?
  let boundAddress: Eventual<String>
  let report: @Sendable () -> MemberReport
  let logger: Logger

  private let membership = Eventual<NodeMembership>()

  init(
    store: RedisMembershipStore, session: NodeSession, keyPrefix: String, settings: MembershipSettings, configuredAddress: String?,
    boundAddress: Eventual<String>, report: @escaping @Sendable () -> MemberReport, logger: Logger
  ) {
    self.store = store
    self.session = session
    self.keyPrefix = keyPrefix
    self.settings = settings
    self.configuredAddress = configuredAddress
    self.boundAddress = boundAddress
    self.report = report
    var logger = logger
    // That the store is away is said once, by its client.
    logger.logLevel = max(logger.logLevel, .error)
    self.logger = logger
  }

  /// Shows that the node lives until the node stops; its field is removed then.
  func run() async throws {
    let address: String
    if let configuredAddress {
      address = configuredAddress
    } else {
      do { address = try await cancelWhenGracefulShutdown { try await boundAddress.value } } catch { return }
    }
    let membership = NodeMembership(
      store: store, session: session, address: address, version: ParallaxNode.version, settings: settings, clock: ContinuousClock(),
      logger: logger, report: report)
    self.membership.set(membership)
    try await membership.run()
  }

  /// The nodes that are known to the store, as this one sees them.
  var view: MembershipView {
    get async throws { try await membership.value.refreshedView() }
  }

  /// Returns when no other node is alive on this store; throws `MembershipError` with `storeInUse` if one is.
  func check() async throws {
    _ = try await membership.value
    _ = try await SingleNodeGuard(store: store, nodeID: session.nodeID, keyPrefix: keyPrefix, clock: ContinuousClock()).check()
  }

  /// Throws when another process turns up under this node's id; else goes on until it is cancelled.
  func watchForTwin() async throws {
    for await event in try await membership.value.events() {
      if case .twin(let other) = event {
        throw MembershipError(
          .storeInUse,
          "another process has started as node \"\(session.nodeID)\" at \(other.address): give each node an id of its own (node.id)")
      }
    }
  }
}
