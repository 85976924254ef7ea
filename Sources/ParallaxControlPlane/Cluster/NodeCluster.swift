import Logging
import ParallaxHA
import ParallaxState
import ServiceLifecycle

/// What a node of a cluster has beside a node that runs alone, plugged together.
struct NodeCluster {
  let election: NodeElection
  let watch: ExecutionWatch
  let forControlPlane: ControlPlane.Cluster
  let forLifecycle: NodeLifecycle.Cluster
  /// In the order in which they start.
  let services: [any Service]

  /// Nil if high availability is off.
  init?(_ base: NodeBase) throws {
    guard let election = base.election, let membership = base.membership, let messenger = base.messenger, let publisher = base.publisher,
      let shared = base.store.shared
    else { return nil }
    let (session, logger) = (base.session, base.logger)
    let watch = ExecutionWatch(store: base.store.store, session: session) { messenger.tell($0, to: $1) }
    // It is, once the node has started: a node that cannot must not lead.
    election.setEligible(false)
    self.election = election
    self.watch = watch
    forControlPlane = ControlPlane.Cluster(
      commands: try ClusterCommands(election: election, membership: membership, registry: base.registry, logger: logger), watch: watch,
      messenger: messenger, publisher: publisher)
    let clusterID = base.configuration.highAvailability.clusterID
    forLifecycle = NodeLifecycle.Cluster(
      election: election,
      checkRecord: { try await Self.checkRecord(shared.election, nodeID: session.nodeID, clusterID: clusterID) }, publisher: publisher)

    let losses = LeaderDuty.Trigger()
    let duties = try Self.duties(of: base, membership: membership, messenger: messenger, losses: losses)
    try ClusterMetrics.register(in: base.registry, election: election, membership: membership)
    services = [
      InboxReceiver(inboxes: shared.inboxes, session: session, dispatcher: base.dispatcher, watch: watch, logger: logger),
      ClusterFeed(
        bus: shared.events, store: base.store.store, session: session, membership: membership, dispatcher: base.dispatcher,
        messenger: messenger, patterns: base.patterns, publisher: publisher, latency: try SyncLatency(registry: base.registry),
        onLoss: { losses.fire() }, clock: base.clock, logger: logger),
      Leadership(
        election: election, duties: LeaderDuties(duties, clock: ContinuousClock(), logger: logger), membership: membership,
        publisher: publisher, logger: logger),
    ]
  }

  private static func duties(
    of base: NodeBase, membership: NodeMembership, messenger: NodeMessenger, losses: LeaderDuty.Trigger
  ) throws -> [LeaderDuty] {
    let (store, session, logger) = (base.store.store, base.session, base.logger)
    let recovery = RecoveryDuty(
      store: store, session: session, membership: membership, recovery: try base.makeRecovery(),
      removeAfter: base.configuration.highAvailability.memberHealth.removeAfter, logger: logger)
    let collection = GarbageCollection(store: store, settings: base.configuration.executions, logger: logger)
    let overdue = OverdueExecutions(
      store: store, now: { NodeClock.wall },
      remind: { [dispatcher = base.dispatcher] id, owner in
        if owner == session { dispatcher.outcomeRecorded(of: id) } else { messenger.tell(.recorded(execution: id, task: ""), to: owner) }
      }, logger: logger)
    return [
      LeaderDuty("recovery", every: RecoveryDuty.interval, trigger: losses) { _ in try await recovery.run() },
      LeaderDuty("garbage-collection", every: GarbageCollection.interval) { _ in try await collection.run() },
      LeaderDuty("deadlines", every: OverdueExecutions.interval) { _ in try await overdue.run() },
    ]
  }

  /// A record of another cluster is nobody's to overwrite.
  private static func checkRecord(_ store: some ElectionStore, nodeID: String, clusterID: String) async throws {
    guard let found = try await store.read()?.record.clusterID, found != clusterID else { return }
    throw MembershipError(
      .storeInUse,
      "node \"\(nodeID)\" cannot start: it is of cluster \"\(clusterID)\", and the election record in its store belongs to cluster "
        + "\"\(found)\". If both are one cluster give them the same highAvailability.clusterId, else another redis.keyPrefix each")
  }
}
