#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// Waiting for a term and acquiring it.
extension ElectionStateMachine {
  /// Whether the node tries to lead.
  var isCampaigning: Bool {
    configuration.campaigns && isCandidate && isEligible && resignDeadline == nil && !isResigned
  }

  mutating func proceedAsStandby() {
    if isOwn(knowledge), !needsRead || now.instant < retryAt {
      role = .releasing
      release()
    } else if let turn, now.instant >= turn {
      takeTurn()
    } else if needsRead {
      if now.instant >= retryAt { read() }
    } else if now.instant >= nextPoll {
      read()
    }
  }

  var standbyWakeUp: Duration {
    let read = needsRead ? retryAt : nextPoll
    return min(turn ?? read, read)
  }

  /// The instant from which the node may write the record; nil while it must not.
  package var turn: Duration? {
    guard isCampaigning else { return nil }
    switch knowledge {
    case .unknown, .unreadable: return nil
    case .absent: return .zero
    case .present(let snapshot):
      let record = snapshot.record
      guard record.clusterID == configuration.clusterID, !record.isPaused else { return nil }
      return max(endOfPatience(with: record), endOfHolds(in: record))
    }
  }

  private func endOfPatience(with record: ElectionRecord) -> Duration {
    if record.isReleased { return .zero }
    if record.isBootstrap {
      let wait = waitOverBootstrap(record)
      return wait == .zero ? .zero : patience.since + wait + rankDelay
    }
    if record.leader == session.nodeID, record.incarnation != session.incarnation, configuration.reclaimsOnRestart { return .zero }
    let lease = max(record.leaseDuration, timings.leaseDuration)
    let isUrged = record.request.map { $0.kind != .stepDown && $0.targetTerm == record.term } ?? false
    return patience.since + lease + (isUrged ? .zero : rankDelay)
  }

  /// The store may have lost the record of a living leader, which leads until its lease ends.
  private func waitOverBootstrap(_ record: ElectionRecord) -> Duration {
    if !hasHistory, let bootstrapWait { return max(bootstrapWait, .zero) }
    return max(timings.leaseDuration, longestLease, record.leaseDuration)
  }

  private func endOfHolds(in record: ElectionRecord) -> Duration {
    var end = Duration.zero
    if let hold = record.reservation, hold.node != session.nodeID, hold.id == reservation?.id {
      end = max(end, (reservation?.receivedAt ?? .zero) + hold.duration)
    }
    if let hold = record.cooldown, hold.node == session.nodeID, record.reservation?.node != session.nodeID, hold.id == cooldown?.id {
      end = max(end, (cooldown?.receivedAt ?? .zero) + hold.duration)
    }
    return end
  }

  /// Spreads the candidates over about ten milliseconds, so that the hint of the first acquisition reaches the others in time.
  ///
  /// The delay has one step per power of two of the priority; the hash of the node's id decides within a step.
  static func rankDelay(of nodeID: String, _ configuration: ElectionConfiguration) -> Duration {
    let step = min(.milliseconds(6), configuration.timings.retryPeriod / 20)
    // A negative delay would shorten the patience.
    let priority = min(max(configuration.priority, -100), 100)
    let bits = Int.bitWidth - priority.magnitude.leadingZeroBitCount
    let level = priority < 0 ? -bits : bits
    return step * (7 - level) + step * (Double(hash(nodeID) >> 11) / Double(1 << 53))
  }

  private mutating func takeTurn() {
    switch knowledge {
    case .absent:
      send(.bootstrap, bootstrapRecord(term: wallTerm))
    case .present(let snapshot):
      takeover = Takeover(cause: cause(of: snapshot.record), silence: now.instant - patience.since)
      send(.acquire, acquisition(over: snapshot.record), expecting: snapshot.version)
    case .unknown, .unreadable:
      preconditionFailure("a turn came while the record was unknown")
    }
  }

  private func cause(of record: ElectionRecord) -> Takeover.Cause {
    if record.isBootstrap { return .bootstrap }
    if record.isReleased { return record.isWitnessed ? .witnessed : .released }
    return record.leader == session.nodeID && configuration.reclaimsOnRestart ? .reclaimed : .expired
  }

  /// The minimum term after a loss of all data.
  private var wallTerm: Int64 {
    let milliseconds = now.wall.timeIntervalSince1970 * 1_000
    let bounded = Int64(min(max(milliseconds, 0), Double(ElectionRecord.maximumCount / 2)))
    return max(highestTerm, bounded)
  }

  func bootstrapRecord(term: Int64) -> ElectionRecord {
    var record = ElectionRecord(
      clusterID: configuration.clusterID, leader: nil, incarnation: session.incarnation, term: term, renewalCount: highestSequence + 1,
      sequence: highestSequence + 1, transitionCount: lastRecord?.transitionCount ?? 0,
      leaseDuration: max(timings.leaseDuration, longestLease),
      isBootstrap: true)
    record.renewedAt = now.wall
    return record
  }

  private func acquisition(over record: ElectionRecord) -> ElectionRecord {
    let floor = max(record.term, highestTerm)
    let term = (record.isBootstrap ? max(floor, wallTerm) : floor) + 1
    var next = ElectionRecord(
      clusterID: configuration.clusterID, leader: session.nodeID, address: configuration.address, incarnation: session.incarnation,
      term: term, renewalCount: record.renewalCount + 1, sequence: max(record.sequence, highestSequence) + 1,
      transitionCount: record.transitionCount + 1,
      leaseDuration: timings.leaseDuration)
    next.acquiredAt = now.wall
    next.renewedAt = now.wall
    return next
  }

  /// Releases a record that names this incarnation, which does not lead.
  mutating func release() {
    guard case .present(let snapshot) = knowledge, isOwn(knowledge) else {
      role = .standby
      proceedAsStandby()
      return
    }
    let record = snapshot.record
    let released = record.released(sequence: max(record.sequence, highestSequence) + 1, timings: timings)
    send(.release, released, expecting: snapshot.version)
  }
}
