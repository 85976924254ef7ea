import Logging
import NIOHTTP1
import ParallaxAPI
import ParallaxConcurrency
import ServiceLifecycle

/// Carries out what ``AgentMachine`` decides: one loop takes its events in order; connections, timers and tasks send them.
struct AgentRunner {
  /// What the loop takes.
  private enum Input: Sendable {
    case event(AgentMachine.Event)
    case opened(Int, AgentConnection)
    case elapsed(AgentMachine.Timer, setting: Int)
  }

  private typealias Sender = AsyncStream<Input>.Continuation

  /// The time for the answer to the last close frame.
  private static let farewell: Duration = .seconds(2)

  private let configuration: AgentConfiguration
  private let endpoints: [AgentEndpoint]
  private let handler: ParallaxAgent.Handler
  private let clock: MonotonicClock
  private let logger: Logger

  private var connections: [Int: AgentConnection] = [:]
  private var dialing: [Int: Task<Void, Never>] = [:]
  private var timers: [AgentMachine.Timer: (setting: Int, task: Task<Void, Never>)] = [:]
  private var lastSetting = 0
  private var work: [String: Task<Void, Never>] = [:]

  init(
    configuration: AgentConfiguration, endpoints: [AgentEndpoint], handler: @escaping ParallaxAgent.Handler, clock: MonotonicClock,
    logger: Logger
  ) {
    var logger = logger
    logger[metadataKey: "agent"] = "\(configuration.id)"
    self.configuration = configuration
    self.endpoints = endpoints
    self.handler = handler
    self.clock = clock
    self.logger = logger
  }

  mutating func run() async throws {
    let (inputs, sender) = AsyncStream<Input>.makeStream()
    sender.yield(.event(.started))
    let error = await withGracefulShutdownHandler(
      operation: { [self] in
        var runner = self
        let error = await runner.follow(inputs, sender)
        sender.finish()
        await runner.end()
        return error
      },
      onGracefulShutdown: { sender.yield(.event(.stopped)) })
    if let error { throw error }
  }

  /// Takes inputs until the agent ends; returns its error, nil after a graceful shutdown.
  private mutating func follow(_ inputs: AsyncStream<Input>, _ sender: Sender) async -> (any Error)? {
    let process = String(UInt64.random(in: .min ... .max), radix: 36)
    var machine = AgentMachine(configuration, endpoints: endpoints, process: process)
    for await input in inputs {
      let event: AgentMachine.Event
      switch input {
      case .opened(let number, let connection):
        connections[number] = connection
        event = .opened(number)
      case .elapsed(let timer, let setting):
        // A timer that was set again while its former end was on the way has not elapsed.
        guard timers[timer]?.setting == setting else { continue }
        timers[timer] = nil
        event = .elapsed(timer)
      case .event(let plain): event = plain
      }
      forget(event)
      for action in machine.handle(event) {
        if case .end(let error) = action { return error }
        perform(action, sender)
      }
    }
    return CancellationError()
  }

  /// Drops the handles of what has ended.
  private mutating func forget(_ event: AgentMachine.Event) {
    switch event {
    case .closed(let number, _, _):
      connections[number] = nil
      dialing[number] = nil
    case .refused(let number, _, _): dialing[number] = nil
    case .finished(let id, _): work[id] = nil
    case .started, .opened, .received, .unreadable, .elapsed, .stopped: break
    }
  }

  private mutating func perform(_ action: AgentMachine.Action, _ sender: Sender) {
    switch action {
    case .connect(let number, let endpoint): dial(number, endpoint, sender)
    case .send(let number, let frame): connections[number]?.send(frame)
    case .close(let number, let code):
      if let connection = connections.removeValue(forKey: number) { connection.close(code: code) } else { dialing[number]?.cancel() }
    case .perform(let task): start(task, sender)
    case .cancel(let id): work[id]?.cancel()
    case .set(let timer, let delay):
      timers[timer]?.task.cancel()
      lastSetting += 1
      let task = Task { [clock, setting = lastSetting] in
        guard (try? await clock.sleep(for: delay)) != nil else { return }
        sender.yield(.elapsed(timer, setting: setting))
      }
      timers[timer] = (lastSetting, task)
    case .clear(let timer): timers.removeValue(forKey: timer)?.task.cancel()
    case .report(let report): log(report)
    case .end: break
    }
  }

  private mutating func dial(_ number: Int, _ endpoint: AgentEndpoint, _ sender: Sender) {
    dialing[number] = Task { [configuration] in
      do {
        var headers = HTTPHeaders([("X-Agent-Id", configuration.id)])
        do {
          if let key = try await configuration.credential?() { headers.add(name: "Authorization", value: "Bearer \(key)") }
        } catch {
          throw AgentConnection.Refusal(reason: "the credential cannot be read: \(error)", retryAfter: nil)
        }
        try await AgentConnection.run(
          endpoint, headers: headers, tls: configuration.tls, maxMessageSize: configuration.maxMessageSize,
          opened: { sender.yield(.opened(number, $0)) }, input: { sender.yield(.event(Self.event($0, at: number))) })
      } catch {
        let refusal = error as? AgentConnection.Refusal
        sender.yield(.event(.refused(number, reason: refusal?.reason ?? "\(error)", retryAfter: refusal?.retryAfter)))
      }
    }
  }

  private static func event(_ input: AgentConnection.Input, at number: Int) -> AgentMachine.Event {
    switch input {
    case .closed(let code, let reason): return .closed(number, code: code, reason: reason)
    case .text(let text):
      do {
        let (id, message) = try ControlPlaneMessage.decode(text)
        return .received(number, message, id: id)
      } catch {
        return .unreadable(number, "\(APIError(decoding: error, of: "message").message)")
      }
    }
  }

  private mutating func start(_ task: AgentTask, _ sender: Sender) {
    logger.debug("task", metadata: ["task": "\(task.id)", "execution": "\(task.executionID)"])
    work[task.id] = Task { [handler, clock, logger] in
      let began = clock.now
      var outcome: AgentMachine.Outcome?
      do {
        let result = try await handler(task)
        outcome = .result(result, duration: began.duration(to: clock.now))
      } catch let failure as AgentTaskFailure {
        outcome = .failure(failure)
      } catch  where Task.isCancelled {
        // The reason of the failure is the cancellation.
      } catch {
        outcome = .failure(AgentTaskFailure(code: "FAILED", message: String("\(error)".prefix(4_096))))
      }
      if case .failure(let failure) = outcome {
        logger.warning(
          "a task failed",
          metadata: [
            "task": "\(task.id)", "execution": "\(task.executionID)", "code": "\(failure.code)", "error": "\(failure.message)",
          ])
      }
      sender.yield(.event(.finished(task.id, outcome)))
    }
  }

  private func log(_ report: AgentMachine.Report) {
    switch report {
    case .registered(let id, let node): logger.info("registered", metadata: ["id": "\(id)", "node": "\(node)"])
    case .lost(let reason, let wait):
      logger.warning("not connected", metadata: ["reason": "\(reason)", "retryIn": "\(wait.wholeMilliseconds) ms"])
    case .moving(let reason): logger.info("the node asks to connect elsewhere", metadata: ["reason": "\(reason)"])
    case .refusedMessage(let code, let message, let task):
      logger.warning("the node refused a message", metadata: ["code": "\(code)", "error": "\(message)", "task": "\(task ?? "-")"])
    case .unreadable(let problem): logger.warning("a message cannot be read", metadata: ["error": "\(problem)"])
    case .unfinished(let tasks, let outcomes):
      logger.warning("stopped before all was done", metadata: ["tasks": "\(tasks)", "unacknowledgedOutcomes": "\(outcomes)"])
    }
  }

  /// Ends what still runs: handlers get a moment to notice, and the close frame that was sent last to be answered.
  private func end() async {
    for task in work.values { task.cancel() }
    for timer in timers.values { timer.task.cancel() }
    for connection in connections.values { connection.close(code: 1_001) }
    let (ends, end) = AsyncStream<Void>.makeStream()
    let rest = Task { [work, dialing] in
      for one in work.values { await one.value }
      for one in dialing.values { await one.value }
      end.finish()
    }
    let limit = Task { [clock] in
      try? await clock.sleep(for: Self.farewell)
      end.finish()
    }
    for await _ in ends {}
    limit.cancel()
    rest.cancel()
    // A handler that ignores its cancellation holds nobody.
    for one in dialing.values { one.cancel() }
  }
}
