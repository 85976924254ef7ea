/// Decides what to do with an election record after the end of a process that may hold it.
///
/// The notice is a value without clock, store or tasks: ``next(at:)`` is the next step, ``heard(_:at:)`` takes the store's answer. Every
/// `now` is the time since the notice began.
///
/// A request that the dead process had sent may reach the store after its death and make it the leader, so the notice looks again at every
/// `retryPeriod` until one `leaseDuration` has passed. Later the lease does the same work.
package struct DeathNotice: Sendable {
  /// A step of the caller.
  package enum Step: Sendable, Hashable {
    case read
    /// Write the record if the stored version is still the expected one.
    case release(ElectionRecord, expecting: ElectionVersion)
    /// Wait until an instant.
    case wait(until: Duration)
  }

  /// The end of a step.
  package enum Answer: Sendable {
    /// The stored record, read or found in place of the expected version; nil if there is none.
    case found(ElectionSnapshot?)
    /// The release was written.
    case written
    /// The outcome is unknown, or the record cannot be read.
    case failed
  }

  /// The process whose end is proven.
  package let session: NodeSession
  private let timings: ElectionTimings
  /// The instant of the next look; nil after the last one.
  private var nextLook: Duration? = .zero
  /// The record that names the dead process, not released yet.
  private var held: ElectionSnapshot?
  /// The term of a release whose outcome may be unknown.
  private var attempted: FencingToken?
  private var highestSequence: Int64 = 0
  /// The latest term of any record that was read.
  private var latestTerm: Int64?

  /// The terms that were given back, each once.
  package private(set) var released: [FencingToken] = []
  /// Whether the last answered look ended with the knowledge that the record does not name the dead process.
  package private(set) var isSettled = false

  /// Creates a notice.
  ///
  /// - Parameters:
  ///   - session: The process whose end is proven.
  ///   - timings: The durations of the election.
  package init(of session: NodeSession, timings: ElectionTimings) {
    self.session = session
    self.timings = timings
  }

  /// The next step; nil at the end.
  package mutating func next(at now: Duration) -> Step? {
    if let held {
      attempted = held.record.fencingToken
      let sequence = max(held.record.sequence, highestSequence) + 1
      highestSequence = sequence
      var record = held.record.released(sequence: sequence, timings: timings)
      record.isWitnessed = true
      return .release(record, expecting: held.version)
    }
    return nextLook.map { now >= $0 ? .read : .wait(until: $0) }
  }

  /// Takes the answer to the last step but a wait.
  package mutating func heard(_ answer: Answer, at now: Duration) {
    held = nil
    switch answer {
    case .found(let snapshot?) where snapshot.record.fault == nil: observe(snapshot, at: now)
    case .found(nil): settle(at: now)
    case .written:
      count()
      settle(at: now)
    case .found, .failed:
      look(after: timings.retryPeriod / 4, at: now)
    }
  }

  private mutating func observe(_ snapshot: ElectionSnapshot, at now: Duration) {
    let record = snapshot.record
    highestSequence = max(highestSequence, record.sequence)
    let isRolledBack = isRolledBack(record)
    latestTerm = max(latestTerm ?? record.term, record.term)
    if record.leader == session.nodeID, record.incarnation == session.incarnation {
      guard !isRolledBack else { return settle(at: now) }
      held = snapshot
      isSettled = false
      return
    }
    if record.isReleased, record.isWitnessed, record.fencingToken == attempted { count() }
    settle(at: now)
  }

  /// Whether the store has lost later writes than a record of the dead process, as far as this notice has read them.
  ///
  /// The successor in them may be alive, and only the lease of this record bounds its time, so the record is not released.
  package func isRolledBack(_ record: ElectionRecord) -> Bool {
    released.contains(record.fencingToken) || latestTerm.map { record.term < $0 } ?? false
  }

  private mutating func settle(at now: Duration) {
    isSettled = true
    look(after: timings.retryPeriod, at: now)
  }

  private mutating func count() {
    if let attempted, released.last != attempted { released.append(attempted) }
    attempted = nil
  }

  /// The last look is at the end of the lease.
  private mutating func look(after pause: Duration, at now: Duration) {
    nextLook = now < timings.leaseDuration ? min(now + pause, timings.leaseDuration) : nil
  }
}
