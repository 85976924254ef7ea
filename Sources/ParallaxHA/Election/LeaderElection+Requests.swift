import ParallaxConcurrency
import Synchronization

/// A change of leadership.
public struct Handover: Sendable, Hashable {
  /// The former leader, or `nil` if there was none.
  public var from: String?
  /// The new leader.
  public var to: String?
  /// The term of the new leader.
  public var term: Int64
  /// The time from the request until this node observed the new leader.
  public var duration: Duration
}

/// Operators' requests, which are written into the record: any node accepts them, even while the leader cannot be reached.
extension LeaderElection {
  /// Asks the leader to hand over, and waits until another term has begun.
  ///
  /// The old leader lets the others go first for ``ElectionTimings/cooldown``; the only node of a cluster then leads again.
  ///
  /// - Parameters:
  ///   - target: The node for which the next term is reserved for ``ElectionTimings/reservation``; `nil`, the default, for any node.
  ///   - timeout: How long to wait; `nil`, the default, is the longest time that a leader without an answer or a missing target can cause.
  /// - Returns: The former and the new leader.
  /// - Throws: ``ElectionError``: `noRecord`, `noLeader`, `paused`, `invalidTarget` (the target already leads), `timedOut` (the request is
  ///   stored), `storeUnavailable`, `storeRefusesWrites`, `notRunning`; or `CancellationError`.
  public func stepDown(to target: String? = nil, timeout: Duration? = nil) async throws -> Handover {
    try await carryOut(.stepDown(to: target), timeout: timeout)
  }

  /// Asks the candidates to elect without rank delay and cooldown, and waits until a node leads.
  ///
  /// - Parameters:
  ///   - force: Whether the current leader must hand over and lets the others go first for ``ElectionTimings/cooldown``, and a pause ends;
  ///     `false` by default. A leader that does not answer leads until its lease ends. A repeat in the same term has no effect.
  ///   - timeout: How long to wait; `nil`, the default, is the longest time that a leader without an answer can cause.
  /// - Returns: The former and the new leader.
  /// - Throws: ``ElectionError``: `noRecord`, `paused` (unless forced), `timedOut` (the request is stored), `storeUnavailable`,
  ///   `storeRefusesWrites`, `notRunning`; or `CancellationError`.
  public func elect(force: Bool = false, timeout: Duration? = nil) async throws -> Handover {
    try await carryOut(force ? .force : .elect, timeout: timeout)
  }

  /// Suspends elections until ``resume()``; a living leader keeps leading.
  ///
  /// - Throws: ``ElectionError``: `noRecord`, `storeUnavailable`, `storeRefusesWrites`, `notRunning`; or `CancellationError`.
  public func pause() async throws {
    _ = try await carryOut(.pause, timeout: nil)
  }

  /// Ends a pause.
  ///
  /// - Throws: ``ElectionError``: `noRecord`, `storeUnavailable`, `storeRefusesWrites`, `notRunning`; or `CancellationError`.
  public func resume() async throws {
    _ = try await carryOut(.resume, timeout: nil)
  }

  private func carryOut(_ command: ElectionCommand, timeout: Duration?) async throws -> Handover {
    let begin = elapsed
    guard let (id, records) = watch() else {
      throw ElectionError(.notRunning, "the election does not run, so no request can be carried out; call observe() or campaign(_:) first")
    }
    defer { state.withLock { state in _ = state.watchers.removeValue(forKey: id) } }
    let (before, written) = try await write(command, id: "\(session.incarnation)-\(id)")
    var now = written
    if !command.isDone(now, since: written) {
      let limit = timeout ?? patience(with: written)
      do {
        now = try await withTimeout(limit, clock: clock) {
          for await record in records where command.isDone(record, since: written) { return record }
          try Task.checkCancellation()
          throw ElectionError(.notRunning, "the election ended before the request was carried out; the request is stored")
        }
      } catch let error as TimeoutError {
        throw ElectionError(.timedOut, "\(error)")
      }
    }
    return Handover(from: before.leader, to: now.leader, term: now.term, duration: elapsed - begin)
  }

  /// The longest time of a request: a lease and the holds end, then a term begins.
  private func patience(with record: ElectionRecord) -> Duration {
    let timings = configuration.timings
    return max(record.leaseDuration, timings.leaseDuration) * 2 + timings.cooldown + timings.reservation
  }

  private func watch() -> (UInt64, AsyncStream<ElectionRecord>)? {
    let (stream, continuation) = AsyncStream.makeStream(of: ElectionRecord.self, bufferingPolicy: .bufferingNewest(16))
    return state.withLock { state in
      guard state.driver != nil else { return nil }
      state.lastID += 1
      state.watchers[state.lastID] = continuation
      return (state.lastID, stream)
    }
  }

  /// Writes the command into the record.
  ///
  /// - Returns: The record before, and the record with the command.
  private func write(_ command: ElectionCommand, id: String) async throws -> (before: ElectionRecord, written: ElectionRecord) {
    var found = try await call { try await self.store.read() }
    while true {
      try Task.checkCancellation()
      let next = try command.apply(
        to: found?.record, id: id, clusterID: configuration.clusterID, timings: configuration.timings)
      guard let snapshot = found else { preconditionFailure("a command was applied to no record") }
      guard let next else { return (snapshot.record, snapshot.record) }
      switch try await call({ try await self.store.compareAndSet(next, expecting: snapshot.version) }) {
      case .written(let version):
        process(.hint(ElectionSnapshot(record: next, version: version)))
        return (snapshot.record, next)
      case .conflict(let current):
        found = current
      }
    }
  }

  private func call<Value: Sendable>(_ body: @escaping @Sendable () async throws -> Value) async throws -> Value {
    do {
      return try await withTimeout(configuration.timings.callTimeout, clock: clock, body)
    } catch let error as ElectionError where error.code == .unreadableRecord {
      throw error
    } catch let error as ElectionError where error.code == .storeRefusesWrites {
      throw ElectionError(.storeRefusesWrites, "the election store refuses writes: \(error.message)", cause: error.cause)
    } catch let error as CancellationError {
      throw error
    } catch {
      throw ElectionError(
        .storeUnavailable, "the election store did not answer, so the request may or may not be stored; try again", cause: error)
    }
  }
}
