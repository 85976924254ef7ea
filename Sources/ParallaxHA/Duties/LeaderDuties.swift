public import Logging

/// Runs duties inside a term.
public struct LeaderDuties<C: Clock>: Sendable where C.Duration == Duration {
  private let duties: [LeaderDuty]
  private let clock: C
  private let logger: Logger

  /// Makes a runner.
  public init(_ duties: [LeaderDuty], clock: C, logger: Logger) {
    self.duties = duties
    self.clock = clock
    self.logger = logger
  }

  /// Runs all duties until the task is cancelled.
  public func run(_ fence: Fence) async {
    await withDiscardingTaskGroup { group in
      for duty in duties { group.addTask { await run(duty, fence) } }
    }
  }

  private func run(_ duty: LeaderDuty, _ fence: Fence) async {
    while !Task.isCancelled {
      do { try await duty.work(fence) } catch {
        if Task.isCancelled { return }
        logger.warning("a duty failed", metadata: ["duty": "\(duty.name)", "error": "\(error)"])
      }
      await withTaskGroup(of: Void.self) { group in
        group.addTask { try? await clock.sleep(for: duty.interval * Double.random(in: 1...1.2)) }
        if let trigger = duty.trigger {
          group.addTask {
            var iterator = trigger.stream.makeAsyncIterator()
            _ = await iterator.next()
          }
        }
        await group.next()
        group.cancelAll()
      }
    }
  }
}
