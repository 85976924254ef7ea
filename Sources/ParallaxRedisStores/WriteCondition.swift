package import Logging
package import ParallaxConcurrency
package import ParallaxRedis
import ServiceLifecycle
import Synchronization

/// Whether Redis accepts writes, by the outcome of the latest one, and the reason if not.
///
/// A server can answer every read and refuse every write: its memory is full (OOM), its disk is full (MISCONF), it is a replica (READONLY)
/// or it lacks replicas (NOREPLICAS). The first refused write begins this state, which is logged once. Probes find the end of the state
/// within a second; at a node without writes of its own they find its beginning within five.
package final class WriteCondition: Service {
  /// How often a server that refuses writes is probed.
  private static let interval: Duration = .seconds(1)
  /// The number of intervals between two probes of a server that accepts writes.
  private static let idleIntervals = 5
  private static let probeTimeout: Duration = .milliseconds(800)

  private let client: RedisClient
  private let logger: Logger
  private let machine: Mutex<WriteConditionMachine>
  private let clock: MonotonicClock

  /// Makes a condition whose server accepts writes until one is refused.
  ///
  /// - Parameters:
  ///   - client: A client of the server.
  ///   - keys: The names of the keys, one of which is reserved for probes.
  ///   - clock: The clock of the probes' interval.
  ///   - logger: The logger of the state's beginning and end.
  package init(client: RedisClient, keys: KeySpace, clock: MonotonicClock, logger: Logger) {
    self.client = client
    self.clock = clock
    self.logger = logger
    machine = Mutex(WriteConditionMachine(idleKey: keys.prefix + "probe:%probe"))
  }

  /// The server's reason for refusing writes, and the time since the first refusal; nil while it accepts writes.
  package var refusal: (reason: String, duration: Duration)? {
    machine.withLock { $0.refusal.map { (reason: $0.reason, duration: $0.since.duration(to: clock.now)) } }
  }

  /// Records the error of a write.
  ///
  /// - Parameters:
  ///   - error: The error.
  ///   - key: A key of the write.
  package func failed(_ error: RedisError, forKey key: String?) {
    guard let code = error.serverCode, let reason = error.writeRefusal, let key else { return }
    act(on: machine.withLock { $0.refused(code: code, reason: reason, key: key, at: clock.now) })
  }

  /// Probes the server until the task is cancelled.
  package func run() async throws {
    await cancelWhenGracefulShutdown {
      var intervals = 0
      while !Task.isCancelled {
        do { try await self.clock.sleep(for: Self.interval) } catch { return }
        intervals += 1
        guard self.refusal != nil || intervals >= Self.idleIntervals else { continue }
        intervals = 0
        await self.probe(self.machine.withLock { $0.probedKey })
      }
    }
  }

  private func probe(_ key: String) async {
    do {
      // The key does not exist, so the command writes nothing, but it needs everything that a write needs.
      _ = try await client.send(RedisCommand("SET", key, "", "XX").idempotent.withTimeout(Self.probeTimeout))
      act(on: machine.withLock { $0.accepted(at: clock.now) })
    } catch let error as RedisError {
      guard let code = error.serverCode else { return }
      act(on: machine.withLock { $0.probeRefused(code: code, reason: error.writeRefusal, at: clock.now) })
    } catch {
      // The task is cancelled.
    }
  }

  private func act(on action: WriteConditionMachine.Action?) {
    switch action {
    case .begins(let reason), .changes(let reason): logger.error("the store refuses writes", metadata: ["reason": "\(reason)"])
    case .ends(let duration): logger.notice("the store takes writes again", metadata: ["after": "\(duration)"])
    case nil: break
    }
  }
}

/// The state of ``WriteCondition``, a pure value: `writable → refusing → writable`.
struct WriteConditionMachine {
  enum Action: Equatable {
    case begins(reason: String)
    /// Writes are refused for another reason than before.
    case changes(reason: String)
    case ends(after: Duration)
  }

  struct Refusal: Equatable {
    let code: String
    let reason: String
    let since: MonotonicClock.Instant
    let probedKey: String
  }

  /// The key of probes while the server accepts writes; it is reserved for them.
  let idleKey: String
  private(set) var refusal: Refusal?

  init(idleKey: String) {
    self.idleKey = idleKey
  }

  /// The key to probe: an unused one, in the slot of the server that refused.
  var probedKey: String { refusal?.probedKey ?? idleKey }

  mutating func refused(code: String, reason: String, key: String, at now: MonotonicClock.Instant) -> Action? {
    guard refusal == nil else { return nil }
    refusal = Refusal(code: code, reason: reason, since: now, probedKey: Self.probe(beside: key))
    return .begins(reason: reason)
  }

  /// `reason` is nil for an error that concerns one write only.
  mutating func probeRefused(code: String, reason: String?, at now: MonotonicClock.Instant) -> Action? {
    guard let reason else { return accepted(at: now) }
    guard let former = refusal else { return refused(code: code, reason: reason, key: idleKey, at: now) }
    if former.code == code { return nil }
    refusal = Refusal(code: code, reason: reason, since: former.since, probedKey: former.probedKey)
    return .changes(reason: reason)
  }

  mutating func accepted(at now: MonotonicClock.Instant) -> Action? {
    guard let former = refusal else { return nil }
    refusal = nil
    return .ends(after: former.since.duration(to: now))
  }

  /// An unused key of the same slot.
  private static func probe(beside key: String) -> String {
    if let open = key.firstIndex(of: "{"), let close = key[open...].firstIndex(of: "}"), key.index(after: open) < close {
      return "\(key[open...close]):probe"
    }
    return "{\(key)}:probe"
  }
}

extension RedisError {
  /// The errors with which a server refuses every write until an operator repairs it.
  private static let writeRefusals: Set<String> = ["OOM", "MISCONF", "READONLY", "NOREPLICAS"]

  /// The reason for which the server refuses every write, its message without a remark about a script; nil for any other error.
  var writeRefusal: String? {
    guard code == .serverError, Self.writeRefusals.contains(serverCode ?? "") else { return nil }
    let reason = serverMessage ?? message
    guard let script = reason.firstRange(of: " script: ") else { return reason }
    return String(reason[..<script.lowerBound])
  }
}
