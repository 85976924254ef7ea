import DequeModule
import NIOCore
import Synchronization

/// Runs tasks on the event loop of a client's connection.
///
/// ```swift
/// await withTaskExecutorPreference(client.executor) { … }
/// ```
///
/// SwiftNIO's event loops provide an executor for actors but none for tasks. This executor runs the tasks that a read has resumed within
/// the same read, so that their next commands go out together. A task on it must never block.
public final class RedisEventLoopExecutor: TaskExecutor, @unchecked Sendable {
  private struct Inbox {
    var jobs: [UnownedJob] = []
    var isLoopWoken = false
  }

  private static let jobsPerTurn = 4_096

  private let eventLoop: any EventLoop
  private let inbox = Mutex(Inbox())

  // Only the event loop accesses these, never during a job: every command passes here twice, and checks would cost more than the work.
  @exclusivity(unchecked) private var jobs = Deque<UnownedJob>()
  @exclusivity(unchecked) private var isScheduled = false
  @exclusivity(unchecked) private var isDraining = false

  /// Creates an executor on an event loop.
  ///
  /// - Parameter eventLoop: The event loop of the tasks.
  init(eventLoop: any EventLoop) {
    self.eventLoop = eventLoop
  }

  /// Enqueues a job of a task; called by the concurrency runtime.
  public func enqueue(_ job: consuming ExecutorJob) {
    let job = UnownedJob(job)
    if eventLoop.inEventLoop {
      jobs.append(job)
      scheduleDrain()
    } else {
      let wakesLoop = inbox.withLock { inbox in
        inbox.jobs.append(job)
        defer { inbox.isLoopWoken = true }
        return !inbox.isLoopWoken
      }
      if wakesLoop { eventLoop.execute { self.drainInbox() } }
    }
  }

  private func scheduleDrain() {
    guard !isScheduled, !isDraining else { return }
    isScheduled = true
    eventLoop.execute {
      self.isScheduled = false
      self.drain()
    }
  }

  private func drainInbox() {
    let jobs = inbox.withLock { inbox in
      defer { inbox = Inbox() }
      return inbox.jobs
    }
    self.jobs.append(contentsOf: jobs)
    drain()
  }

  /// Runs the ready jobs on the event loop; leaves the rest of a long queue to the next tick.
  func drain() {
    eventLoop.preconditionInEventLoop()
    guard !isDraining else { return }
    isDraining = true
    let executor = asUnownedTaskExecutor()
    var budget = Self.jobsPerTurn
    while budget > 0, let job = jobs.popFirst() {
      job.runSynchronously(on: executor)
      budget -= 1
    }
    isDraining = false
    if !jobs.isEmpty { scheduleDrain() }
  }
}
