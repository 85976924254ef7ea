package import Logging
package import ParallaxAPI
import ParallaxHA
package import ServiceLifecycle

/// A control-plane node, put together from its configuration.
package struct ParallaxNode: Sendable {
  /// The product's version.
  package static let version = "0.1.0"

  /// What whoever runs the node hears of it.
  package struct Hooks: Sendable {
    /// The server listens at this base URL.
    package var onListening: @Sendable (_ url: String) -> Void
    /// The node takes work.
    package var onReady: @Sendable () -> Void
    /// A leader's duty ignores that its term has ended, and `onStuckDuty` is `exit`: the process is to end.
    package var onStuckDuty: @Sendable () -> Void

    package init(
      onListening: @escaping @Sendable (_ url: String) -> Void, onReady: @escaping @Sendable () -> Void,
      onStuckDuty: @escaping @Sendable () -> Void
    ) {
      self.onListening = onListening
      self.onReady = onReady
      self.onStuckDuty = onStuckDuty
    }
  }

  private let services: [any Service]
  private let drainLimit: Duration
  private let logger: Logger

  /// Puts the node together; nothing runs yet.
  ///
  /// Throws what is wrong with the configuration's values.
  package init(
    configuration: NodeConfiguration, patterns shippedPatterns: [PatternDefinition], hooks: Hooks, logger: Logger
  ) throws {
    let base = try NodeBase(configuration: configuration, onStuckDuty: hooks.onStuckDuty, logger: logger)
    let cluster = try NodeCluster(base)
    let lifecycle = NodeLifecycle(
      session: base.session, store: base.store.store, doubts: base.store.doubts, membership: base.membership, patterns: base.patterns,
      shippedPatterns: shippedPatterns, health: base.health, dispatcher: base.dispatcher,
      housekeeping: cluster == nil ? try base.makeHousekeeping() : nil, cluster: cluster?.forLifecycle, onReady: hooks.onReady,
      logger: logger)
    let server = try base.makeServer(cluster: cluster, onListening: hooks.onListening)
    let delay = DrainDelay(
      health: base.health, delay: configuration.server.drainDelay, resign: { [election = base.election] in await election?.resign() },
      logger: logger)

    // Stopped from the last to the first.
    let shared: [(any Service)?] = [base.publisher, base.messenger, base.membership]
    services = base.store.services + shared.compactMap { $0 } + [base.dispatcher] + (cluster?.services ?? []) + [lifecycle, server, delay]
    drainLimit = configuration.server.drainDelay + configuration.server.drainTimeout + .seconds(20)
    self.logger = logger
  }

  /// The group that runs the node; its graceful shutdown stops the node in order.
  package func makeServiceGroup() -> ServiceGroup {
    var configuration = ServiceGroupConfiguration(
      services: services.map { service in
        // A node that must end, ends in order: agents are told, callers are answered.
        ServiceGroupConfiguration.ServiceConfiguration(service: service, failureTerminationBehavior: .gracefullyShutdownGroup)
      }, logger: logger)
    configuration.maximumGracefulShutdownDuration = drainLimit
    return ServiceGroup(configuration: configuration)
  }
}
