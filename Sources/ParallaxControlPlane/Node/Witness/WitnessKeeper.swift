import Logging
import ParallaxConcurrency
import ParallaxHA
import ParallaxMetrics
import ParallaxWitness
import ServiceLifecycle

/// Keeps a witness beside the node: a process that says in the store that the node has ended, if it ends without saying so itself.
///
/// Nothing of the node depends on it. A witness that ends is noted once and replaced, if this node has started it; one that cannot be
/// started is noted once and tried again, after a second at first and a minute at most.
struct WitnessKeeper: Service {
  private let orders: WitnessOrders
  private let descriptor: Int32?
  private let executable: String?
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
  ///   - descriptor: The pipe to the witness around this process; nil if there is none.
  ///   - executable: The path of the witness to start otherwise; nil if there is none.
  ///   - hasLeft: Whether the node has left its cluster.
  ///   - registry: The registry for the counter of lost witnesses.
  ///   - clock: The node's clock.
  ///   - logger: Logs each lost witness.
  /// - Throws: The registry's error if the counter exists already.
  init(
    orders: WitnessOrders, descriptor: Int32?, executable: String?, hasLeft: @escaping @Sendable () -> Bool, registry: MetricsRegistry,
    clock: NodeClock, logger: Logger
  ) throws {
    self.orders = orders
    self.hasLeft = hasLeft
    self.clock = clock
    self.logger = logger
    self.descriptor = descriptor
    self.executable = executable
    lost = try registry.makeCounter("parallax_ha_witnesses_lost_total", help: "Witnesses of this node that have ended before it.")
      .withLabels()
  }

  func run() async throws {
    if let line = try? orders.line(), line.count <= WitnessInbox.longestLine {
      await keep(line)
    } else {
      logger.error("the settings of Redis are too long for a witness, so a crash costs a lease")
    }
    // A service that returns earlier would end the node.
    try? await gracefulShutdown()
  }

  private func keep(_ line: [UInt8]) async {
    if let descriptor {
      let witness = WitnessProcess.around(descriptor)
      guard witness.write(line) else {
        return logger.error("the witness around this node cannot be instructed, so a crash costs a lease")
      }
      if await watch(witness) { logger.warning("the witness around this node has ended; a crash costs a lease from now on") }
    } else if let executable {
      await keepStarting(executable, line)
    } else {
      let reason = "\(WitnessChannel.executable) is not beside the executable of the node"
      logger.notice("this node has no witness, so a crash costs a lease", metadata: ["reason": "\(reason)"])
    }
  }

  private func keepStarting(_ executable: String, _ line: [UInt8]) async {
    var pause = Self.firstPause
    var isMissed = false
    while true {
      let startedAt = clock.now.instant
      do {
        let witness = try started(executable, line)
        if isMissed { logger.notice("this node has a witness now") }
        isMissed = false
        guard await watch(witness) else { return }
        logger.warning("the witness of this node has ended, and is started again")
      } catch {
        if !isMissed {
          logger.warning("this node has no witness, so a crash costs a lease until one can be started", metadata: ["reason": "\(error)"])
        }
        isMissed = true
      }
      if clock.now.instant - startedAt >= Self.longestPause { pause = Self.firstPause }
      guard await rest(pause) else { return }
      pause = min(pause * 2, Self.longestPause)
    }
  }

  /// Starts a witness that knows its orders.
  private func started(_ executable: String, _ line: [UInt8]) throws -> WitnessProcess {
    let witness = try WitnessProcess.start(executable)
    guard witness.write(line) else {
      witness.dismiss()
      throw WitnessProcess.Failure(description: "\(executable) cannot be instructed: it does not read its standard input")
    }
    return witness
  }

  /// Watches a witness until the node stops.
  ///
  /// - Returns: Whether the witness has ended before the node.
  private func watch(_ witness: WitnessProcess) async -> Bool {
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
