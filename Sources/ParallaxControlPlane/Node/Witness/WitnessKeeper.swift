import Logging
import ParallaxConcurrency
import ParallaxHA
import ParallaxMetrics
import ParallaxWitness
import ServiceLifecycle

/// Keeps a witness beside the node: a process that says in the store that the node has ended, if it ends without saying so itself.
///
/// Nothing of the node depends on it. A witness that ends is noted once and replaced, if this node has started it.
struct WitnessKeeper: Service {
  private let orders: WitnessOrders
  /// Starts a witness.
  private let start: @Sendable () throws -> WitnessProcess
  /// Whether the node has left its cluster, so that nothing remains to be said after its end.
  private let hasLeft: @Sendable () -> Bool
  private let lost: CounterSeries
  private let clock: NodeClock
  private let logger: Logger

  private static let checkInterval: Duration = .seconds(1)
  private static let firstPause: Duration = .seconds(1)
  private static let longestPause: Duration = .seconds(60)

  /// Makes the service.
  ///
  /// - Parameters:
  ///   - orders: What the witness has to know.
  ///   - executable: The path of the witness; nil if there is none.
  ///   - hasLeft: Whether the node has left its cluster.
  ///   - registry: The registry for the counter of lost witnesses.
  ///   - clock: The node's clock.
  ///   - logger: Logs each lost witness.
  /// - Throws: The registry's error if the counter exists already.
  init(
    orders: WitnessOrders, executable: String?, hasLeft: @escaping @Sendable () -> Bool, registry: MetricsRegistry, clock: NodeClock,
    logger: Logger
  ) throws {
    self.orders = orders
    self.hasLeft = hasLeft
    self.clock = clock
    self.logger = logger
    start = {
      guard let executable else {
        throw WitnessProcess.Failure(description: "\(WitnessChannel.executable) is not beside the executable of the node")
      }
      return try WitnessProcess.start(executable)
    }
    lost = try registry.makeCounter("parallax_ha_witnesses_lost_total", help: "Witnesses of this node that have ended before it.")
      .withLabels()
  }

  func run() async throws {
    if let witness = WitnessProcess.around() {
      if await keep(witness) { logger.warning("the witness around this node has ended; a crash costs a lease from now on") }
    } else {
      await keepStarting()
    }
    // A service that returns earlier would end the node.
    try? await gracefulShutdown()
  }

  private func keepStarting() async {
    var pause = Self.firstPause
    while true {
      let startedAt = clock.now.instant
      do {
        guard await keep(try start()) else { return }
        logger.warning("the witness of this node has ended, and is started again")
      } catch {
        logger.notice("this node has no witness, so a crash costs a lease", metadata: ["reason": "\(error)"])
        return
      }
      if clock.now.instant - startedAt >= Self.longestPause { pause = Self.firstPause }
      guard await rest(pause) else { return }
      pause = min(pause * 2, Self.longestPause)
    }
  }

  /// Instructs a witness, and watches it until the node stops.
  ///
  /// - Returns: Whether the witness has ended before the node.
  private func keep(_ witness: WitnessProcess) async -> Bool {
    guard let line = try? orders.line(), line.count <= WitnessInbox.longestLine, witness.write(line) else {
      logger.error("the witness cannot be instructed, so a crash costs a lease")
      return false
    }
    while !witness.hasEnded {
      if await rest(Self.checkInterval) { continue }
      // A node that is cancelled ends like a crash, and so does one whose store did not take its farewell.
      if Task.isShuttingDownGracefully, hasLeft() { _ = witness.write(WitnessInbox.discharge) }
      return false
    }
    witness.leave()
    lost.increment()
    return true
  }

  /// Returns whether the node goes on after a pause.
  private func rest(_ pause: Duration) async -> Bool {
    let outcome = await race { [clock] in
      try await clock.sleep(for: pause)
    } until: {
      try await gracefulShutdown()
    }
    return (try? outcome.result.get()) != nil
  }
}
