import DequeModule
import NIOCore
import Synchronization

/// Submits the commands of callers on other threads: they encode into a shared buffer, and the first command of a batch wakes the event
/// loop.
final class ConnectionInbox: Sendable {
  struct Submission: ~Copyable, Sendable {
    let id: UInt64
    let waiter: ReplyWaiter
    let replies: Int
    let timeout: TimeAmount
    let bytes: Int

    /// The queue entry of the submission.
    consuming func entry(now: NIODeadline) -> ReplyQueue<ReplyWaiter>.Entry {
      .init(id: id, waiter: waiter, replies: replies, submitted: now, deadline: now + timeout, bytes: bytes)
    }
  }

  struct Batch: ~Copyable, Sendable {
    var buffer = ByteBuffer()
    var submissions = UniqueDeque<Submission>()
    var cancellations: [UInt64] = []
    var replies = 0

    /// Empties the batch but keeps its memory, unless a large value has enlarged it.
    mutating func reset() {
      if buffer.capacity > Self.keptCapacity { buffer = ByteBuffer() } else { buffer.clear() }
      submissions.removeAll()
      cancellations.removeAll(keepingCapacity: true)
      replies = 0
    }

    private static let keptCapacity = 256 << 10
  }

  enum Admission {
    case accepted(wakeLoop: Bool)
    case refused(CommandFailure)
  }

  private struct State: ~Copyable {
    var batch = Batch()
    var isLoopWoken = false
    /// The reason that further commands are refused.
    var closed: RedisError?
    /// Whether all callers have received their outcomes.
    var isOver = false
  }

  private let state = Mutex(State())
  private let maximumCommands: Int
  private let maximumBytes: Int
  /// The commands in flight, as last published by the event loop.
  private let commandsInFlight = Atomic(0)
  private let bytesInFlight = Atomic(0)
  private let lastArrivalNanoseconds: Atomic<UInt64>

  init(maximumCommands: Int, maximumBytes: Int, now: NIODeadline) {
    self.maximumCommands = maximumCommands
    self.maximumBytes = maximumBytes
    lastArrivalNanoseconds = Atomic(now.uptimeNanoseconds)
  }

  // MARK: From any thread

  func submit(_ commands: some Collection<RedisCommand>, id: UInt64, waiter: ReplyWaiter, timeout: TimeAmount) -> Admission {
    state.withLock { state in
      if let closed = state.closed { return .refused(.notSent(closed)) }
      let used = state.batch.buffer.readableBytes
      guard admits(commands.count, queued: state.batch.replies, queuedBytes: used) else { return .refused(.overloaded) }
      guard state.batch.buffer.write(commands) else { return .refused(.overloaded) }
      state.batch.submissions.append(
        Submission(id: id, waiter: waiter, replies: commands.count, timeout: timeout, bytes: state.batch.buffer.readableBytes - used))
      state.batch.replies += commands.count
      defer { state.isLoopWoken = true }
      return .accepted(wakeLoop: !state.isLoopWoken)
    }
  }

  /// Cancels a command; returns whether the event loop must be woken.
  func cancel(_ id: UInt64) -> Bool {
    state.withLock { state in
      guard !state.isOver else { return false }
      state.batch.cancellations.append(id)
      defer { state.isLoopWoken = true }
      return !state.isLoopWoken
    }
  }

  var lastArrival: NIODeadline {
    .uptimeNanoseconds(lastArrivalNanoseconds.load(ordering: .relaxed))
  }

  var isBusy: Bool { commandsInFlight.load(ordering: .relaxed) > 0 }

  var isClosed: Bool {
    state.withLock { $0.closed != nil }
  }

  // MARK: From the loop

  /// Whether this number of further commands may be sent, given the queued ones.
  ///
  /// A pipeline of any length is admitted if nothing is in flight or queued.
  func admits(_ commands: Int, queued: Int = 0, queuedBytes: Int = 0) -> Bool {
    let before = commandsInFlight.load(ordering: .relaxed) + queued
    let bytesBefore = bytesInFlight.load(ordering: .relaxed) + queuedBytes
    return (before == 0 || before + commands <= maximumCommands) && bytesBefore <= maximumBytes
  }

  func publish(commandsInFlight commands: Int, bytesInFlight bytes: Int) {
    commandsInFlight.store(commands, ordering: .relaxed)
    bytesInFlight.store(bytes, ordering: .relaxed)
  }

  func publish(lastArrival: NIODeadline) {
    lastArrivalNanoseconds.store(lastArrival.uptimeNanoseconds, ordering: .relaxed)
  }

  /// Takes the batch, and leaves an empty one in its place.
  func take(into spare: inout Batch) {
    state.withLock { state in
      swap(&state.batch, &spare)
      state.isLoopWoken = false
      // The batch counts until the loop publishes what is in flight; otherwise callers could exceed the limits.
      commandsInFlight.add(spare.replies, ordering: .relaxed)
      bytesInFlight.add(spare.buffer.readableBytes, ordering: .relaxed)
    }
  }

  /// Refuses further commands, and returns the submissions that were not taken; waiting callers can still cancel.
  func refuse(_ error: RedisError) -> UniqueDeque<Submission> {
    state.withLock { Self.refuse(error, &$0) }
  }

  /// Refuses further commands and cancellations, and returns the submissions that were not taken.
  func close(_ error: RedisError) -> UniqueDeque<Submission> {
    state.withLock { state in
      state.isOver = true
      let submissions = Self.refuse(error, &state)
      state.batch = Batch()
      return submissions
    }
  }

  private static func refuse(_ error: RedisError, _ state: inout State) -> UniqueDeque<Submission> {
    if state.closed == nil { state.closed = error }
    var batch = Batch()
    batch.cancellations = state.batch.cancellations
    swap(&state.batch, &batch)
    return batch.submissions
  }
}
