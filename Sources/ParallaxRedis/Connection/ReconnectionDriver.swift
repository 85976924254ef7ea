import Logging
import NIOCore
import ParallaxConcurrency

/// Performs the actions of ``ReconnectionStateMachine``: keeps one connection, with all its replacements, until its task is cancelled.
struct ReconnectionDriver: Sendable {
  enum Event {
    case connected(RedisConnection)
    /// An attempt to connect failed.
    case failed(RedisError)
    case lost(RedisError)
  }

  static let shuttingDown = RedisError(.shutDown, message: "The client is shutting down.")

  /// The server's name in the log.
  let name: String
  let outageLevel: Logger.Level
  let backoff: RedisConfiguration.Backoff
  let clock: MonotonicClock
  let metrics: RedisMetrics
  let logger: Logger
  /// Numbers in `0..<1`.
  var random: @Sendable () -> Double = { .random(in: 0..<1) }

  /// Keeps a connection.
  ///
  /// - Parameters:
  ///   - connect: Opens a connection.
  ///   - notify: Called at each change of the connection.
  ///   - end: Ends the connection when the task is cancelled.
  func run(
    connect: @Sendable () async throws(RedisError) -> RedisConnection, notify: @Sendable (Event) -> Void,
    end: @escaping @Sendable (RedisConnection) -> Void
  ) async {
    let began = clock.now
    var machine = ReconnectionStateMachine(backoff: backoff)
    var action = machine.start()
    while true {
      switch action {
      case .connect:
        do throws(RedisError) {
          let connection = try await connect()
          report(machine.connected(now: began.duration(to: clock.now)))
          notify(.connected(connection))
          let reason = await withTaskCancellationHandler {
            await connection.closed()
          } onCancel: {
            end(connection)
          }
          if Task.isCancelled { machine.end() }
          notify(.lost(reason))
          action = report(machine.lost(reason, now: began.duration(to: clock.now), random: random()))
        } catch {
          if Task.isCancelled { machine.end() }
          notify(.failed(error))
          action = report(machine.failed(error, now: began.duration(to: clock.now), random: random()))
        }
      case .wait(let pause):
        do { try await clock.sleep(for: pause) } catch { machine.end() }
        action = machine.waited()
      case .end: return
      }
    }
  }

  private func report(_ decision: (ReconnectionStateMachine.Action, ReconnectionStateMachine.Announcement))
    -> ReconnectionStateMachine.Action
  {
    report(decision.1)
    return decision.0
  }

  private func report(_ announcement: ReconnectionStateMachine.Announcement) {
    switch announcement {
    case .none: break
    case .outage(let error):
      logger.log(
        level: outageLevel, "No connection to Redis; trying again",
        metadata: ["redis.server": "\(name)", "error": "\(error)"])
    case .recovered(let attempts, let outage):
      metrics.reconnected()
      logger.notice(
        "Connected to Redis again", metadata: ["redis.server": "\(name)", "attempts": "\(attempts)", "outage": "\(outage)"])
    }
  }
}
