import DequeModule
import NIOCore
import Synchronization

/// Runs tasks on the event loop of a client's connection.
///
/// ```swift
/// await withTaskExecutorPreference(client.executor) { … }
/// ```
///
/// SwiftNIO's loops offer an executor for actors but none for tasks; this one runs the tasks that a read has resumed within that same
/// read, so that what they send next leaves together. A task on it must never block.
public final class RedisEventLoopExecutor: TaskExecutor {
  private struct LoopState {
    var jobs = Deque<UnownedJob>()
    var isScheduled = false
    var isDraining = false
  }

  private struct Inbox {
    var jobs: [UnownedJob] = []
    var isLoopWoken = false
  }

  private static let jobsPerTurn = 4_096

  private let eventLoop: any EventLoop
  private let onLoop: NIOLoopBoundBox<LoopState>
  private let inbox = Mutex(Inbox())

  /// Makes an executor for a loop.
  ///
  /// - Parameter eventLoop: Where the tasks are to run.
  init(eventLoop: any EventLoop) {
    self.eventLoop = eventLoop
    onLoop = NIOLoopBoundBox.makeBoxSendingValue(LoopState(), eventLoop: eventLoop)
  }

  /// Takes a job of a task; called by the concurrency runtime.
  public func enqueue(_ job: consuming ExecutorJob) {
    let job = UnownedJob(job)
    if eventLoop.inEventLoop {
      onLoop.value.jobs.append(job)
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
    guard !onLoop.value.isScheduled, !onLoop.value.isDraining else { return }
    onLoop.value.isScheduled = true
    eventLoop.execute {
      self.onLoop.value.isScheduled = false
      self.drain()
    }
  }

  private func drainInbox() {
    let jobs = inbox.withLock { inbox in
      defer { inbox = Inbox() }
      return inbox.jobs
    }
    onLoop.value.jobs.append(contentsOf: jobs)
    drain()
  }

  /// Runs what is ready, on the event loop; leaves the rest of a long queue to the next tick.
  func drain() {
    guard !onLoop.value.isDraining else { return }
    onLoop.value.isDraining = true
    var budget = Self.jobsPerTurn
    while budget > 0, let job = onLoop.value.jobs.popFirst() {
      job.runSynchronously(on: asUnownedTaskExecutor())
      budget -= 1
    }
    onLoop.value.isDraining = false
    if !onLoop.value.jobs.isEmpty { scheduleDrain() }
  }
}
