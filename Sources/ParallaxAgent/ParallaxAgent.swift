import Foundation
public import Logging
import NIOHTTP1
import ParallaxAPI
import ParallaxConcurrency
public import ServiceLifecycle

/// An agent: connects to a control plane, works on its tasks, and loses none of their results.
///
/// ```swift
/// let agent = ParallaxAgent(name: "classifier-1", capabilities: ["classification"], url: "http://127.0.0.1:8080") { (text: Document) in
///   Answer(category: await classify(text), confidence: 0.9)
/// }
/// try await ServiceGroup(services: [agent], gracefulShutdownSignals: [.sigterm], logger: logger).run()
/// ```
///
/// The agent keeps each outcome until a node has stored it, and sends it again after a lost connection; tasks go on meanwhile. If its node
/// is about to stop, it registers at another one before it leaves. Delivery is at least once: a task that has been given twice is worked on
/// once by a process, and a handler with effects elsewhere uses the execution's id to make them once.
public struct ParallaxAgent: Service, CustomStringConvertible {
  /// Works on one task; several run at a time, up to ``AgentConfiguration/maxConcurrentTasks``.
  ///
  /// The task of a cancelled or timed-out execution is cancelled. The handler should end soon then, because its place is free only
  /// afterward; what it returns is dropped.
  public typealias Handler = @Sendable (_ task: AgentTask) async throws -> AgentResult

  /// `ParallaxAgent` and the agent's id, by which a service group names the agent in its log.
  public var description: String { "ParallaxAgent(\(configuration.id))" }

  private let configuration: AgentConfiguration
  private let handler: Handler
  private let clock: MonotonicClock
  private let logger: Logger

  /// Makes an agent, which does nothing before ``run()``.
  ///
  /// - Parameters:
  ///   - configuration: The settings.
  ///   - logger: The agent's logger; by default one with the label `parallax.agent`.
  ///   - onTask: Works on one task.
  public init(configuration: AgentConfiguration, logger: Logger = Logger(label: "parallax.agent"), onTask: @escaping Handler) {
    self.init(configuration: configuration, clock: MonotonicClock(ContinuousClock()), logger: logger, onTask: onTask)
  }

  init(configuration: AgentConfiguration, clock: MonotonicClock, logger: Logger, onTask: @escaping Handler) {
    self.configuration = configuration
    self.clock = clock
    self.logger = logger
    handler = onTask
  }

  /// Makes an agent whose inputs and results are values of the program.
  ///
  /// An input that cannot be decoded fails its task with `INVALID_INPUT`, which is not repeated.
  /// - Parameters:
  ///   - name: The id of the agent: the same at each start, and of one process at a time.
  ///   - capabilities: What the agent can do.
  ///   - url: A node, or the load balancer of several.
  ///   - maxConcurrentTasks: The tasks at the same time; 1 by default.
  ///   - logger: The agent's logger; by default one with the label `parallax.agent`.
  ///   - onTask: Makes a result of an input. A member `confidence` of the result, 0 to 1, weighs in votes.
  public init<Input: Decodable & Sendable, Output: Encodable & Sendable>(
    name: String, capabilities: [String], url: String, maxConcurrentTasks: Int = 1, logger: Logger = Logger(label: "parallax.agent"),
    onTask: @escaping @Sendable (_ input: Input) async throws -> Output
  ) {
    var configuration = AgentConfiguration(urls: [url], id: name, capabilities: capabilities)
    configuration.maxConcurrentTasks = maxConcurrentTasks
    self.init(configuration: configuration, logger: logger) { task in
      let output = try await onTask(task.decodeInput(as: Input.self))
      return AgentResult(try JSON.value(from: JSON.encode(output)))
    }
  }

  /// Runs the agent until a graceful shutdown is complete, the task is cancelled, or it cannot go on; to be called once.
  ///
  /// A graceful shutdown lets running tasks end and waits for the acknowledgements of their outcomes, for at most
  /// ``AgentConfiguration/stopTimeout``; the node is asked to give nothing new meanwhile. Cancellation ends it at once, as a crash would.
  ///
  /// - Throws: ``ParallaxAgentError`` if a setting cannot be used, no node takes the agent as often as it may try, an operator has
  ///   disconnected it, or another process has registered under its id.
  public func run() async throws {
    let endpoints = try validated()
    var runner = AgentRunner(configuration: configuration, endpoints: endpoints, handler: handler, clock: clock, logger: logger)
    try await runner.run()
  }

  private func validated() throws(ParallaxAgentError) -> [AgentEndpoint] {
    func isName(_ text: String, _ others: String) -> Bool {
      (1...128).contains(text.utf8.count) && text.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || others.contains($0)) }
    }
    func fault(_ text: String) -> ParallaxAgentError { ParallaxAgentError(.invalidConfiguration, text) }
    guard isName(configuration.id, "-_.") else {
      throw fault("the id \"\(configuration.id)\" is not of 1 to 128 letters, digits and -_.")
    }
    guard (1...1_000).contains(configuration.capabilities.count) else {
      throw fault("\(configuration.capabilities.count) capabilities; expected 1 to 1,000")
    }
    if let wrong = configuration.capabilities.first(where: { !isName($0, "-_.:") }) {
      throw fault("the capability \"\(wrong)\" is not of 1 to 128 letters, digits and -_.:")
    }
    guard (1...10_000).contains(configuration.maxConcurrentTasks) else {
      throw fault("maxConcurrentTasks is \(configuration.maxConcurrentTasks); expected 1 to 10,000")
    }
    guard (1_024...256 << 20).contains(configuration.maxMessageSize) else {
      throw fault("maxMessageSize is \(configuration.maxMessageSize); expected 1 KiB to 256 MiB, in bytes")
    }
    let reconnection = configuration.reconnection
    guard reconnection.initial > .zero, reconnection.max >= reconnection.initial, reconnection.multiplier >= 1, reconnection.maxRetries >= 0
    else {
      throw fault(
        "the reconnection needs an initial wait above 0, a longer one as max, a multiplier of at least 1, and maxRetries of at least 0")
    }
    guard (configuration.tls.certificate == nil) == (configuration.tls.privateKey == nil) else {
      throw fault("tls.certificate and tls.privateKey go together")
    }
    guard !configuration.urls.isEmpty else { throw fault("no URL of a node") }
    var endpoints: [AgentEndpoint] = []
    for url in configuration.urls { endpoints.append(try AgentEndpoint(url)) }
    return endpoints
  }
}

extension AgentTask {
  /// The input as a value of the program.
  ///
  /// - Parameter type: The type of the value.
  /// - Returns: The value.
  /// - Throws: ``AgentTaskFailure`` with the code `INVALID_INPUT` that names the place and what was expected; it is not repeated.
  public func decodeInput<Input: Decodable>(as type: Input.Type = Input.self) throws(AgentTaskFailure) -> Input {
    do {
      return try JSON.decode(Input.self, from: JSON.encode(input), depthLimit: JSON.documentDepthLimit)
    } catch {
      throw AgentTaskFailure(
        code: "INVALID_INPUT", message: APIError(decoding: error, of: "input").message, isRetryable: false)
    }
  }
}
