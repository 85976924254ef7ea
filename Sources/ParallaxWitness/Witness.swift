package import Logging
import NIOCore
import NIOPosix
import ParallaxAPI
package import ParallaxHA
import ParallaxRedis
import ParallaxRedisStores
import ParallaxState

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// Says in the store that a node's process has ended: releases its term, and marks it among the members.
///
/// Nothing here proves the end; the caller has done so.
package struct Witness: Sendable {
  private let orders: WitnessOrders
  private let logger: Logger

  /// Makes a witness.
  ///
  /// - Parameters:
  ///   - orders: What the node has said.
  ///   - logger: Logs what was said in the store.
  package init(_ orders: WitnessOrders, logger: Logger) {
    self.orders = orders
    self.logger = logger
  }

  /// Connects to the store, says that the process has ended, and repeats it for one lease, as writes of the process may arrive late.
  ///
  /// A cancellation ends it before that. It reads files and may wait for their mount, which no cancellation ends.
  ///
  /// - Parameter end: When and how the process ended.
  /// - Throws: The error of unusable orders. A store that stays away is logged, and costs a lease.
  package func report(_ end: MemberEnd) async throws {
    let timings = try orders.timings()
    let keys = try KeySpace(prefix: orders.keyPrefix)
    let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    let client = try RedisClient(
      configuration: try orders.redis.configuration(tls: try orders.redis.tlsConfiguration()),
      scripts: RedisElectionStore.scripts + RedisMembershipStore.scripts,
      eventLoopGroup: group, logger: logger)
    await withTaskGroup(of: Void.self) { tasks in
      tasks.addTask { try? await client.run() }
      await say(end, through: client, keys, timings)
      tasks.cancelAll()
    }
    try await group.shutdownGracefully()
  }

  private func say(_ end: MemberEnd, through client: RedisClient, _ keys: KeySpace, _ timings: ElectionTimings) async {
    await withTaskGroup(of: Void.self) { tasks in
      tasks.addTask {
        await self.release(in: RedisElectionStore(client: client, keys: keys, requiredReplicas: self.orders.requiredReplicas), timings)
      }
      tasks.addTask { await self.mark(end, through: client, keys, timings) }
    }
  }

  private func release(in store: RedisElectionStore, _ timings: ElectionTimings) async {
    do {
      try await store.recordDeath(of: orders.session.nodeID, incarnation: orders.session.incarnation, timings: timings) { token in
        logger.notice("released the term of a leader whose process has ended", metadata: ["term": "\(token.term)"])
      }
    } catch is CancellationError {
      // The witness must end; the lease does the rest.
    } catch {
      logger.warning("the term of a node whose process has ended may wait for its lease", metadata: ["error": "\(error)"])
    }
  }

  private func mark(_ end: MemberEnd, through client: RedisClient, _ keys: KeySpace, _ timings: ElectionTimings) async {
    let bus = RedisEventBus(client: client, keys: keys, logger: logger)
    do {
      try await RedisMembershipStore(client: client, keys: keys).recordDeath(of: orders.session, end, timings: timings) {
        logger.notice("marked a member whose process has ended", metadata: ["cause": "\(end.cause?.description ?? "unknown")"])
        await publish(end, on: bus)
      }
    } catch is CancellationError {
      // The silence of the member does the rest.
    } catch {
      logger.warning("a member whose process has ended may be found by its silence only", metadata: ["error": "\(error)"])
    }
  }

  /// Hurries the other nodes, which read the members once per interval anyway.
  private func publish(_ end: MemberEnd, on bus: RedisEventBus) async {
    let timestamp = Timestamp(milliseconds: Int64((end.at.timeIntervalSince1970 * 1_000).rounded()))
    // The number 0 is behind those of the node itself, so that nobody takes an event for missing.
    let event = ClusterEvent(
      type: "ended", id: orders.session.nodeID, session: orders.session, timestamp: timestamp, sequence: 0,
      details: end.cause.map { ["cause": .string($0.description)] })
    do { try await bus.publish(event, on: .cluster) } catch {
      logger.debug("the end was not published", metadata: ["error": "\(error)"])
    }
  }
}
